// A connection to a database as lanes see it, and how a call on it can fail. Knows neither SQL nor threads: its owner
// calls it from one thread at a time.
#pragma once

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

namespace app {

// How a call failed, by what may be done next.
enum class DatabaseFault {
    lost,      // the connection is gone; what was asked may or may not have been done
    refused,   // nothing was done, and this connection is of no more use
    busy,      // nothing was done; the connection is good (a lock, a full disk)
    slow,      // the same, because it was cancelled after its time
    rejected,  // nothing was done: a value that the schema does not allow
    altered,   // nothing was done: a trigger or a rule of the database would have done something else
};

class DatabaseError : public std::runtime_error {
public:
    DatabaseError(DatabaseFault kind, const std::string& what) : std::runtime_error(what), fault(kind) {}

    DatabaseFault fault;
};

// A service's own interface derives from this, so that its tests need no database. Every call may throw DatabaseError. A
// call that writes has committed durably when it returns.
class Connection {
public:
    Connection() = default;
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    virtual ~Connection() = default;

    // False once the server is known to have ended the connection: what is asked now would be lost, and is not done.
    virtual bool is_open() const = 0;
    // Asks for nothing, and returns once it is answered.
    virtual void ping() = 0;
    // Whether nothing has been committed since this was asked last on this connection; false the first time.
    virtual bool is_unchanged() = 0;
    // Returns once it is known that no other server had taken this one's place when it was called: what was read before was
    // so. Where none may (confirms() is false), at once. What has been written needs it not.
    virtual void confirm() = 0;
    virtual bool confirms() const = 0;
};

// Makes a connection or throws DatabaseError.
template <class Database>
using Connect = std::function<std::unique_ptr<Database>()>;

}  // namespace app
