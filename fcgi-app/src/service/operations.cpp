// The transaction of a batch: keys are claimed, what is new is done, its answers are kept.
#include "service/operations.hpp"

#include "http/router.hpp"
#include "machinery_statements.hpp"
#include "text/json_text.hpp"
#include "text/parameter.hpp"

#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <utility>

namespace app {
namespace {

Problem key_reused() {
    return {
        .status = 422, .type = "/problems/key-reused", .detail = "This Idempotency-Key was used with another request."};
}

// Takes a line off `rest`.
std::string take_line(std::string_view& rest) {
    const auto end = rest.find('\n');
    if (end == rest.npos) throw DatabaseError(DatabaseFault::altered, "a kept answer is cut");
    std::string line(rest.substr(0, end));
    rest.remove_prefix(end + 1);
    return line;
}

// As it is kept.
std::string text_of(const Reply& reply) {
    return std::to_string(reply.status) + '\n' + reply.location + '\n' + reply.etag + '\n' + reply.event + '\n' +
           reply.subject + '\n' + reply.body;
}

// The same back.
Reply reply_of(std::string_view text) {
    Reply reply{.status = static_cast<int>(number_of(take_line(text)))};
    reply.location = take_line(text);
    reply.etag = take_line(text);
    reply.event = take_line(text);
    reply.subject = take_line(text);
    reply.body = text;
    return reply;
}

// What is known of a key amid a batch.
struct Known {
    std::string request;  // the one that was answered; where the key is ours it does not matter
    std::string by;       // whose key of its own (Batcher::key_of) that one has; empty: the key is unused
    Reply reply;
    bool is_new = false;  // to be kept
};
using KnownKeys = std::map<std::string, Known>;

KnownKeys claim(PostgresConnection& connection, const std::vector<std::string>& keys) {
    using machinery::claim_keys;
    KnownKeys known;
    for (const std::string& key : keys) known.try_emplace(key);
    const auto rows = connection.call<claim_keys>(array(keys));
    if (rows.size() != known.size()) throw DatabaseError(DatabaseFault::altered, "keys are not kept");
    for (const auto& row : rows) {
        std::string_view answer = row.text(claim_keys::answer);
        if (answer.empty()) continue;
        Known& one = known[std::string(row.text(claim_keys::key))];
        one.request = row.text(claim_keys::request);
        one.by = take_line(answer);
        one.reply = reply_of(answer);
    }
    return known;
}

// Keys that came to nothing are free again.
void keep(PostgresConnection& connection, const KnownKeys& known) {
    std::vector<std::string> keys, requests, answers, free;
    for (const auto& [key, one] : known) {
        if (one.by.empty()) free.push_back(key);
        if (!one.is_new) continue;
        keys.push_back(key);
        requests.push_back(one.request);
        answers.push_back(one.by + '\n' + text_of(one.reply));
    }
    if (!free.empty()) connection.call<machinery::forget_keys>(array(free));
    if (keys.empty()) return;
    const auto rows = connection.call<machinery::keep_answers>(array(keys), array(requests), array(answers));
    if (rows.single().number(machinery::keep_answers::rows) != std::ssize(keys))
        throw DatabaseError(DatabaseFault::altered, "answers are not kept");
}

Response response_of(const Reply& reply, bool is_replay) {
    Response response{.status = reply.status, .headers = {{"Cache-Control", "no-store"}}};
    if (!reply.location.empty()) response.headers.push_back({"Location", reply.location});
    if (!reply.etag.empty()) response.headers.push_back({"ETag", reply.etag});
    if (is_replay) response.headers.push_back({"Idempotent-Replayed", "true"});
    if (reply.body.empty()) return response;
    response.headers.push_back({"Content-Type", "application/json"});
    response.set_body(reply.body);
    return response;
}

}  // namespace

std::string text_of(const std::vector<std::optional<std::string>>& members) {
    std::string text;
    for (const auto& member : members) (text += member ? json_string(*member) : "null") += ' ';
    return text;
}

Operations::Operations(const LaneLimits& limits, std::size_t rows_max, const Connect<PostgresConnection>& connect,
                       const Connect<PostgresConnection>& connect_for_search, Lanes& lanes, Log& log)
    : log_(log),
      retry_ms_(limits.retry_ms),
      writes_(limits, {.rows_max = rows_max}, connect, lanes, log, std::bind_front(&Operations::write_batch, this),
              [](PostgresConnection& connection, int rows_max_of_step) {
                  const auto purged = connection.call<machinery::purge_kept_answers>(rows_max_of_step);
                  return static_cast<int>(purged.single().number(machinery::purge_kept_answers::rows));
              }),
      reads_(limits, connect, lanes, reading()),
      searches_(limits, connect_for_search, lanes, reading()) {}

Operations::Reading::Rules Operations::reading() {
    return {.is_alone = [](const Read&) { return true; },
            .answer_alone = [](PostgresConnection& connection, const Read& read,
                               const OthersWait& others_wait) { return read.operation.run(connection, others_wait); }};
}

void Operations::read(const ExchangePtr& exchange, ReadOperation operation) {
    const Request& request = exchange->request;
    Reading& reader = operation.is_search ? searches_ : reads_;
    reader.push({request.path + '?' + request.query, std::move(operation)}, exchange,
                [&log = log_](Exchange& asker, const Result<Document>& document) {
                    if (!document) return refuse(asker, document.error(), log);
                    answer_document(asker, *document, log);
                });
}

void Operations::write(const ExchangePtr& exchange, WriteOperation operation) {
    const Request& request = exchange->request;
    writes_.push(
        {std::string(request.header("Idempotency-Key")),
         request.method + ' ' + request.path + '\n' + (operation.asked.empty() ? request.body : operation.asked),
         std::move(operation)},
        exchange, [&log = log_](Exchange& asker, const Result<Done>& done) {
            if (!done) return refuse(asker, done.error(), log);
            asker.respond(response_of(done->reply, done->is_replay));
        });
}

std::vector<Result<Operations::Done>> Operations::write_batch(PostgresConnection& connection, const std::string&,
                                                              const Writing::Batch& batch) {
    std::vector<Result<Done>> done;
    try {
        done = transact(connection, batch);
    } catch (const IdTaken&) {
        connection.call<machinery::skip_taken_ids>();
        done = transact(connection, batch);
    }
    log_changes(batch, done);
    return done;
}

// One after the other, as if each had come alone. A write without a client's key gets one of ours, so that all that is in
// doubt can be sent again: what is found of its own is no replay, since its client has had no answer.
std::vector<Result<Operations::Done>> Operations::transact(PostgresConnection& connection,
                                                           const Writing::Batch& batch) const {
    std::vector<std::string> own, keys;
    for (const auto* asked : batch) {
        own.push_back(writes_.key_of(*asked));
        keys.push_back(asked->question.key.empty() ? own.back() : asked->question.key);
    }
    std::vector<Result<Done>> done;
    connection.transact([&] {
        KnownKeys known = claim(connection, keys);
        for (std::size_t i = 0; i < batch.size(); ++i) {
            Known& one = known.at(keys[i]);
            const Write& write = batch[i]->question;
            if (!one.by.empty()) {
                const bool is_other = one.by != own[i] && one.request != write.request;
                done.push_back(is_other ? key_reused() : Result(Done{one.reply, one.by != own[i]}));
            } else if (!batch[i]->in_doubt && batch[i]->arrived + retry_ms_ < Clock::now()) {
                done.push_back(overloaded());  // those before it took long: nothing is begun that late
            } else if (const Result<Reply> reply = write.operation.run(connection)) {
                one = {write.key.empty() ? "" : write.request, own[i], *reply, true};
                done.push_back(Done{*reply});
            } else {
                done.push_back(reply.error());
            }
        }
        keep(connection, known);
    });
    return done;
}

void Operations::log_changes(const Writing::Batch& batch, const std::vector<Result<Done>>& done) const {
    std::string lines;
    for (std::size_t i = 0; i < batch.size(); ++i) {
        if (!done[i] || done[i]->is_replay || done[i]->reply.event.empty()) continue;
        const Reply& reply = done[i]->reply;
        const auto number = parse_number(reply.subject, 1, std::numeric_limits<std::int64_t>::max());
        const std::string_view request_id = batch[i]->exchange->request.request_id;
        lines += number ? log_line("info", reply.event, {{"request_id", request_id}, {"id", *number}})
                        : log_line("info", reply.event, {{"request_id", request_id}, {"id", reply.subject}});
    }
    log_.write(lines);
}

}  // namespace app
