// What lanes have in common, whatever their jobs: the log of the database's state, and the problems that a job can meet.
#include "lanes/lane.hpp"

namespace app {
namespace {

Problem try_again(std::string_view type, std::string detail) {
    return {.status = 503, .type = type, .detail = std::move(detail), .headers = {{"Retry-After", "1"}}};
}

}  // namespace

void Lanes::lost(const void* lane, const std::string& reason) {
    const std::lock_guard lock(mutex_);
    away_.insert(lane);
    if (reasons_.insert(reason).second) log_.error("database_away", {{"reason", std::string_view(reason)}});
}

void Lanes::connected(const void* lane) {
    const std::lock_guard lock(mutex_);
    away_.erase(lane);
    if (!away_.empty() || reasons_.empty()) return;
    reasons_.clear();
    log_.info("database_connected", {});
}

void Lanes::failed(std::string_view reason) { log_.error("statement_failed", {{"reason", reason}}); }

void Lanes::close() {
    for (AnyLane* lane : all_) lane->stop();
    for (AnyLane* lane : all_) lane->close();
}

Problem database_away(std::string detail) { return try_again("/problems/database-away", std::move(detail)); }

Problem overloaded() {
    return try_again("/problems/overloaded", "The service has more to do than it can do in time. Nothing was changed.");
}

Problem outcome_unknown() {
    return try_again(
        "/problems/outcome-unknown",
        "The connection to the database was lost before it confirmed this. It may or may not have been done.");
}

}  // namespace app
