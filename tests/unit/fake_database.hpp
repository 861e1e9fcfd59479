// A database in memory, shared by all connections that FakeServer makes, with the faults of a real one at will:
// away, lost before or after the commit, busy, held in the middle of a call.
#pragma once

#include "database.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace app {

class FakeServer {
public:
    // The first purge finds as many old keys; none after it does.
    explicit FakeServer(int old_keys = 0) : old_keys_(old_keys) {}

    // What happens to the next calls, in order; calls beyond them go well.
    struct Fault {
        DatabaseFault fault;
        bool after_commit = false;
    };

    Connect connect();

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
    std::map<std::int64_t, std::string> visitors() {
        const std::lock_guard lock(mutex_);
        return visitors_;
    }

private:
    friend class FakeDatabase;

    std::atomic<int> closings_ = 0;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool away_ = false;
    bool held_ = false;
    int waiting_ = 0;
    std::deque<std::optional<Fault>> faults_;
    std::vector<std::string> calls_;
    std::map<std::int64_t, std::string> visitors_;
    std::map<std::string, Added> keys_;
    std::map<std::string, std::vector<Added>> batches_;
    std::int64_t last_id_ = 0;
    int commits_ = 0;
    int old_keys_;
};

class FakeDatabase final : public Database {
    static constexpr const char* created_at = "2026-11-24T03:33:00.123456Z";

    Page page(const PageQuestion& question) const {
        Page page;
        page.total = static_cast<std::int64_t>(server_.visitors_.size());
        for (auto visitor = server_.visitors_.rbegin(); visitor != server_.visitors_.rend(); ++visitor) {
            if (question.before && visitor->first >= *question.before) continue;
            if (static_cast<int>(page.visitors.size()) == question.limit) {
                page.more = true;
                break;
            }
            page.visitors.push_back({visitor->first, visitor->second, created_at});
        }
        return page;
    }
    Added added(const Addition& addition) {
        const auto known = server_.keys_.find(addition.key);
        if (known != server_.keys_.end()) {
            Added replay = known->second;
            replay.fresh = false;
            return replay;
        }
        const Added fresh{insert(addition.name), addition.name, true};
        if (!addition.key.empty()) server_.keys_[addition.key] = fresh;
        return fresh;
    }
    Visitor insert(const Name& name) {
        const std::int64_t id = ++server_.last_id_;
        server_.visitors_[id] = name.value_or("Visitor_" + std::to_string(id));
        return {id, server_.visitors_[id], created_at};
    }
    template <class Action>
    auto call(std::string name, Action action) {
        std::unique_lock lock(server_.mutex_);
        server_.calls_.push_back(std::move(name));
        if (server_.held_) {
            ++server_.waiting_;
            server_.changed_.notify_all();
            server_.changed_.wait(lock, [this] { return !server_.held_; });
            --server_.waiting_;
        }
        std::optional<FakeServer::Fault> fault;
        if (!server_.faults_.empty()) {
            fault = server_.faults_.front();
            server_.faults_.pop_front();
        }
        if (fault && !fault->after_commit) throw DatabaseError(fault->fault, "made by the test");
        auto answer = action();
        if (fault) throw DatabaseError(fault->fault, "made by the test, after the commit");
        return answer;
    }

public:
    explicit FakeDatabase(FakeServer& server) : server_(server) {}

    bool is_open() const override { return made_after_ == server_.closings_; }
    std::vector<Added> add(const std::string& batch_key, const std::vector<Addition>& additions) override {
        return call("add " + std::to_string(additions.size()), [&] {
            if (std::ranges::count(additions, Name("rejected"), &Addition::name) > 0)
                throw DatabaseError(DatabaseFault::rejected, "23514");
            if (std::ranges::count(additions, Name("altered"), &Addition::name) > 0)
                throw DatabaseError(DatabaseFault::altered, "a trigger drops it");
            const auto [batch, unsent] = server_.batches_.try_emplace(batch_key);
            ++server_.commits_;
            if (unsent) {
                for (const Addition& addition : additions) batch->second.push_back(added(addition));
            }
            return batch->second;
        });
    }
    // What was added is as young as it can be.
    Removed remove(const Removal& removal, bool matched) override {
        return call("remove " + std::to_string(removal.id), [&] {
            if (!server_.visitors_.contains(removal.id)) return Removed::absent;
            const auto known = server_.keys_.find(removal.key);
            const bool theirs = known != server_.keys_.end() && known->second.visitor.id == removal.id;
            if (!removal.key.empty() && !theirs) return Removed::forbidden;
            if (!matched) return Removed::unmatched;
            ++server_.commits_;
            server_.visitors_.erase(removal.id);
            return Removed::done;
        });
    }
    int purge_keys(int) override {
        return call("purge_keys", [&] { return std::exchange(server_.old_keys_, 0); });
    }
    bool is_unchanged() override {
        return call("is_unchanged", [&] { return std::exchange(seen_, server_.commits_) == server_.commits_; });
    }
    std::vector<Page> pages(const std::vector<PageQuestion>& questions) override {
        return call("pages " + std::to_string(questions.size()), [&] {
            std::vector<Page> pages;
            for (const PageQuestion& question : questions) pages.push_back(page(question));
            return pages;
        });
    }
    Page search(const PageQuestion& question) override {
        return call("search " + question.text, [&] { return page(question); });
    }
    Page search_frequent(const PageQuestion& question) override {
        return call("search_frequent " + question.text, [&] { return page(question); });
    }
    std::vector<Visitor> visitors(const std::vector<std::int64_t>& ids) override {
        return call("visitors " + std::to_string(ids.size()), [&] {
            std::vector<Visitor> found;
            for (const std::int64_t id : ids) {
                const auto visitor = server_.visitors_.find(id);
                if (visitor != server_.visitors_.end()) found.push_back({id, visitor->second, created_at});
            }
            return found;
        });
    }
    Stats stats(int days) override {
        return call("stats " + std::to_string(days), [&] {
            return Stats{static_cast<std::int64_t>(server_.visitors_.size()), {{"2026-11-24", 0}}};
        });
    }
    std::vector<Visitor> rows(std::int64_t after, int rows_max) override {
        return call("rows", [&] {
            std::vector<Visitor> rows;
            for (auto row = server_.visitors_.upper_bound(after); row != server_.visitors_.end(); ++row) {
                if (static_cast<int>(rows.size()) == rows_max) break;
                rows.push_back({row->first, row->second, created_at});
            }
            return rows;
        });
    }
    void ping() override {
        call("ping", [] { return 0; });
    }

private:
    FakeServer& server_;
    int seen_ = -1;
    const int made_after_ = server_.closings_;
};

inline Connect FakeServer::connect() {
    return [this]() -> std::unique_ptr<Database> {
        const std::lock_guard lock(mutex_);
        if (away_) throw DatabaseError(DatabaseFault::refused, "away");
        return std::make_unique<FakeDatabase>(*this);
    };
}

}  // namespace app
