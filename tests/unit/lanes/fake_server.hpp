// A database server in memory with the faults of a real one at will: away, lost before or after the commit, busy, held in the
// middle of a call. It has nothing but connections; a service's fake adds its tables.
#pragma once

#include "lanes/connection.hpp"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace app {

class FakeServer {
public:
    // What happens to the next calls, in order; calls beyond them go well.
    struct Fault {
        DatabaseFault fault;
        bool after_commit = false;
    };

    void set_away(bool is_away) {
        const std::lock_guard lock(mutex_);
        away_ = is_away;
    }
    // Ends all connections at once, in the middle of nothing.
    void close_connections() { ++closings_; }
    void fail_next(Fault fault) {
        const std::lock_guard lock(mutex_);
        faults_.push_back(fault);
    }
    void let_next_pass() {
        const std::lock_guard lock(mutex_);
        faults_.push_back(std::nullopt);
    }
    // Calls wait until release(); waits itself until one does.
    void hold() {
        const std::lock_guard lock(mutex_);
        held_ = true;
    }
    void wait_for_held_call() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return waiting_ > 0; });
    }
    bool holds_a_call() {
        const std::lock_guard lock(mutex_);
        return waiting_ > 0;
    }
    void release() {
        const std::lock_guard lock(mutex_);
        held_ = false;
        changed_.notify_all();
    }
    std::vector<std::string> calls() {
        const std::lock_guard lock(mutex_);
        return calls_;
    }

    Connect<Connection> connect();

    // What every call of a connection is: `action` runs alone, and whatever commits adds to `commits`.
    template <class Action>
    auto call(std::string name, Action action) {
        std::unique_lock lock(mutex_);
        calls_.push_back(std::move(name));
        if (held_) {
            ++waiting_;
            changed_.notify_all();
            changed_.wait(lock, [this] { return !held_; });
            --waiting_;
        }
        std::optional<FakeServer::Fault> fault;
        if (!faults_.empty()) {
            fault = faults_.front();
            faults_.pop_front();
        }
        if (fault && !fault->after_commit) throw DatabaseError(fault->fault, "made by the test");
        auto answer = action();
        if (fault) throw DatabaseError(fault->fault, "made by the test, after the commit");
        return answer;
    }
    // Makes a connection, where the server is not away.
    template <class Database, class Server>
    static std::unique_ptr<Database> made_by(Server& server) {
        const std::lock_guard lock(server.mutex_);
        if (server.away_) throw DatabaseError(DatabaseFault::refused, "away");
        return std::make_unique<Database>(server);
    }
    int closings() const { return closings_; }

    int commits = 0;
    std::atomic<bool> is_replicated = false;

protected:
    std::mutex mutex_;

private:
    std::atomic<int> closings_ = 0;
    std::condition_variable changed_;
    bool away_ = false;
    bool held_ = false;
    int waiting_ = 0;
    std::deque<std::optional<Fault>> faults_;
    std::vector<std::string> calls_;
};

// What all connections to it have.
template <class Interface>
class FakeConnectionOf : public Interface {
public:
    explicit FakeConnectionOf(FakeServer& server) : fake_(server) {}

    bool is_open() const override { return made_after_ == fake_.closings(); }
    void ping() override {
        fake_.call("ping", [] { return 0; });
    }
    bool is_unchanged() override {
        return fake_.call("is_unchanged", [&] { return std::exchange(seen_, fake_.commits) == fake_.commits; });
    }
    void confirm() override {
        if (confirms()) fake_.call("confirm", [] { return 0; });
    }
    bool confirms() const override { return fake_.is_replicated; }

private:
    FakeServer& fake_;
    int seen_ = -1;
    const int made_after_ = fake_.closings();
};

inline Connect<Connection> FakeServer::connect() {
    return [this]() -> std::unique_ptr<Connection> { return made_by<FakeConnectionOf<Connection>>(*this); };
}

}  // namespace app
