// The transaction of a batch: keys are claimed, what is new is done, its answers are kept.
#include "postgres/operations.hpp"

#include "base/json_text.hpp"
#include "base/parameter.hpp"
#include "http/router.hpp"
#include "machinery_statements.hpp"

#include <functional>
#include <limits>
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
    if (end == rest.npos) throw_odd("a kept answer is cut");
    std::string line(rest.substr(0, end));
    rest.remove_prefix(end + 1);
    return line;
}

// In order: the answer, whether it is new, and what was asked then.
struct Claim {
    std::string request;
    std::string answer;
    bool is_fresh;
};

std::vector<Claim> claim(PostgresConnection& connection, const std::vector<std::string>& keys,
                         const std::vector<std::string>& requests) {
    using machinery::claim_keys;
    std::vector<Claim> claims;
    for (const auto& row : connection.call<claim_keys>(array(keys), array(requests))) {
        claims.push_back({std::string(row.text(claim_keys::request)), std::string(row.text(claim_keys::answer)),
                          row.flag(claim_keys::fresh)});
    }
    if (claims.size() != keys.size()) throw DatabaseError(DatabaseFault::altered, "keys are not kept");
    return claims;
}

// Answers of what was done go with their keys; the keys of what was not are free again.
struct Kept {
    std::vector<std::string> keys, answers, free;

    void write(PostgresConnection& connection) const {
        if (!keys.empty()) {
            const auto rows = connection.call<machinery::keep_answers>(array(keys), array(answers));
            if (rows.single().number(machinery::keep_answers::rows) != std::ssize(keys))
                throw DatabaseError(DatabaseFault::altered, "answers are not kept");
        }
        if (!free.empty()) connection.call<machinery::forget_keys>(array(free));
    }
};

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

std::string text_of(const Reply& reply) {
    return std::to_string(reply.status) + '\n' + reply.location + '\n' + reply.etag + '\n' + reply.body;
}

std::string text_of(const std::vector<std::optional<std::string>>& members) {
    std::string text;
    for (const auto& member : members) (text += member ? json_string(*member) : "null") += ' ';
    return text;
}

Reply reply_of(std::string_view text) {
    Reply reply{.status = static_cast<int>(number_of(take_line(text)))};
    reply.location = take_line(text);
    reply.etag = take_line(text);
    reply.body = text;
    return reply;
}

Operations::Operations(const LaneLimits& limits, std::size_t rows_max, const Connect<PostgresConnection>& connect,
                       const Connect<PostgresConnection>& connect_for_search, Lanes& lanes, Log& log)
    : log_(log),
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
                               const OthersWait& others_wait) { return read.operation(connection, others_wait); }};
}

void Operations::read(const ExchangePtr& exchange, ReadOperation operation) {
    push(reads_, exchange, std::move(operation));
}

void Operations::search(const ExchangePtr& exchange, ReadOperation operation) {
    push(searches_, exchange, std::move(operation));
}

void Operations::push(Reading& reader, const ExchangePtr& exchange, ReadOperation operation) const {
    const Request& request = exchange->request;
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

// Whoever has no key of a client's gets one of ours, so that all that is in doubt can be sent again.
std::vector<Result<Operations::Done>> Operations::write_batch(PostgresConnection& connection, const std::string& key,
                                                              const Writing::Batch& batch) {
    std::vector<std::string> keys;
    for (const auto* asked : batch) {
        const bool has_key = !asked->question.key.empty();
        keys.push_back(has_key ? asked->question.key : key + '-' + std::to_string(keys.size()));
    }
    std::vector<Result<Done>> done;
    try {
        done = transact(connection, keys, batch);
    } catch (const IdTaken&) {
        connection.call<machinery::skip_taken_ids>();
        done = transact(connection, keys, batch);
    }
    log_changes(batch, done);
    return done;
}

std::vector<Result<Operations::Done>> Operations::transact(PostgresConnection& connection,
                                                           const std::vector<std::string>& keys,
                                                           const Writing::Batch& batch) {
    std::vector<std::string> requests;
    for (const auto* asked : batch) requests.push_back(asked->question.request);
    std::vector<Result<Done>> done;
    connection.transact([&] {
        const std::vector<Claim> claims = claim(connection, keys, requests);
        Kept kept;
        for (std::size_t i = 0; i < batch.size(); ++i) {
            const Write& write = batch[i]->question;
            if (claims[i].is_fresh) {
                const Result<Reply> reply = write.operation.run(connection);
                done.push_back(reply ? Result(Done{*reply}) : reply.error());
                if (reply) {
                    kept.keys.push_back(keys[i]);
                    kept.answers.push_back(text_of(*reply));
                } else {
                    kept.free.push_back(keys[i]);
                }
            } else if (claims[i].request != requests[i]) {
                done.push_back(key_reused());
            } else if (!claims[i]
                            .answer
                            .empty()) {  // where the key is ours, this was in doubt, and its client had no answer yet
                done.push_back(Done{reply_of(claims[i].answer), !write.key.empty()});
            } else {  // asked for with the same key in this very batch
                const auto first = static_cast<std::size_t>(std::ranges::find(keys, keys[i]) - keys.begin());
                done.push_back(done[first] ? Result(Done{done[first]->reply, true}) : done[first].error());
            }
        }
        kept.write(connection);
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
