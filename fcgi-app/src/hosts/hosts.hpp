// Where the database is: DATABASE_URL, taken apart by libpq once, at the start; and in which order its hosts are tried, which the
// connections of a process learn from one another. Knows no connection. Any thread.
#pragma once

#include <mutex>
#include <string>
#include <vector>

namespace app {

struct Host {
    std::string name;      // for the log and to compare by: "db1:5432", or a socket's folder and number
    std::string conninfo;  // libpq's keywords for this host alone, without a password
    // Backends of calls that were cut. One that waits for a standby goes on waiting, with its locks, also when its client is gone.
    std::vector<int> left_behind{};
};

class Hosts {
public:
    // `url` as libpq takes it (a URI or keywords), with one host or several; what it does not say, libpq's environment says.
    // Throws std::runtime_error with what is wrong. A password in it is wrong: the environment of a process can be read.
    explicit Hosts(const std::string& url);

    // First the one that was last found good, last the one that was last suspected.
    std::vector<Host> in_order() const;
    bool are_several() const { return are_several_; }

    // It is good.
    void prefer(const std::string& name);
    // The backends that `host` says were left behind have been ended.
    void settle(const Host& host);
    // A connection to it was lost, or is of no use any more; `backend` may still be there.
    void suspect(const std::string& name, int backend);

private:
    mutable std::mutex mutex_;  // guards the next
    std::vector<Host> hosts_;
    const bool are_several_;
};

}  // namespace app
