// The visitors' tables in memory, shared by all connections to one FakeBookServer.
#pragma once

#include "lanes/fake_server.hpp"
#include "visitors/book.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace app {

class FakeBookServer final : public FakeServer {
public:
    // The first purge finds as many old keys; none after it does.
    explicit FakeBookServer(int old_keys = 0) : old_keys_(old_keys) {}

    Connect<Book> connect();

    std::map<std::int64_t, std::string> visitors() {
        const std::lock_guard lock(mutex_);
        return visitors_;
    }

private:
    friend class FakeBook;

    std::map<std::int64_t, std::string> visitors_;
    std::map<std::string, Added> keys_;
    std::map<std::string, std::vector<Added>> batches_;
    std::int64_t last_id_ = 0;
    int old_keys_;
};

class FakeBook final : public FakeConnectionOf<Book> {
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

public:
    explicit FakeBook(FakeBookServer& server) : FakeConnectionOf<Book>(server), server_(server) {}

    std::vector<Added> add(const std::string& batch_key, const std::vector<Addition>& additions) override {
        return server_.call("add " + std::to_string(additions.size()), [&] {
            if (std::ranges::count(additions, Name("rejected"), &Addition::name) > 0)
                throw DatabaseError(DatabaseFault::rejected, "23514");
            if (std::ranges::count(additions, Name("altered"), &Addition::name) > 0)
                throw DatabaseError(DatabaseFault::altered, "a trigger drops it");
            const auto [batch, unsent] = server_.batches_.try_emplace(batch_key);
            ++server_.commits;
            if (unsent) {
                for (const Addition& addition : additions) batch->second.push_back(added(addition));
            }
            return batch->second;
        });
    }
    // What was added is as young as it can be.
    Removed remove(const Removal& removal, bool matched) override {
        return server_.call("remove " + std::to_string(removal.id), [&] {
            if (!server_.visitors_.contains(removal.id)) return Removed::absent;
            const auto known = server_.keys_.find(removal.key);
            const bool theirs = known != server_.keys_.end() && known->second.visitor.id == removal.id;
            if (!removal.key.empty() && !theirs) return Removed::forbidden;
            if (!matched) return Removed::unmatched;
            ++server_.commits;
            server_.visitors_.erase(removal.id);
            return Removed::done;
        });
    }
    int purge_keys(int) override {
        return server_.call("purge_keys", [&] { return std::exchange(server_.old_keys_, 0); });
    }
    std::vector<Page> pages(const std::vector<PageQuestion>& questions) override {
        return server_.call("pages " + std::to_string(questions.size()), [&] {
            std::vector<Page> pages;
            for (const PageQuestion& question : questions) pages.push_back(page(question));
            return pages;
        });
    }
    Page search(const PageQuestion& question) override {
        return server_.call("search " + question.text, [&] { return page(question); });
    }
    Page search_frequent(const PageQuestion& question) override {
        return server_.call("search_frequent " + question.text, [&] { return page(question); });
    }
    std::vector<Visitor> visitors(const std::vector<std::int64_t>& ids) override {
        return server_.call("visitors " + std::to_string(ids.size()), [&] {
            std::vector<Visitor> found;
            for (const std::int64_t id : ids) {
                const auto visitor = server_.visitors_.find(id);
                if (visitor != server_.visitors_.end()) found.push_back({id, visitor->second, created_at});
            }
            return found;
        });
    }
    Stats stats(int days) override {
        return server_.call("stats " + std::to_string(days), [&] {
            return Stats{static_cast<std::int64_t>(server_.visitors_.size()), {{"2026-11-24", 0}}};
        });
    }
    std::vector<Visitor> rows(std::int64_t after, int rows_max) override {
        return server_.call("rows", [&] {
            std::vector<Visitor> rows;
            for (auto row = server_.visitors_.upper_bound(after); row != server_.visitors_.end(); ++row) {
                if (static_cast<int>(rows.size()) == rows_max) break;
                rows.push_back({row->first, row->second, created_at});
            }
            return rows;
        });
    }

private:
    FakeBookServer& server_;
};

inline Connect<Book> FakeBookServer::connect() {
    return [this]() -> std::unique_ptr<Book> { return made_by<FakeBook>(*this); };
}

}  // namespace app
