// The usual C++ design as a peer: threads that block, each with its own libfcgi request and its own libpqxx connection,
// statements prepared once, one query and one commit a request. It answers `GET /api/visitors?limit=` and `POST
// /api/visitors` as the service does, without its promises: no key, no ETag, no deadline, no reconnect.
//   usage: pool /path/of/socket THREADS   (libpq's environment says which database)
#include <fcgiapp.h>
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <pqxx/pqxx>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using Writer = rapidjson::Writer<rapidjson::StringBuffer>;

// One statement for page and total: the fewest round trips that this design can have.
constexpr const char* page_sql = R"(
    SELECT id, name, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
           (SELECT total FROM visitor_total)
    FROM visitors ORDER BY id DESC LIMIT $1)";
constexpr const char* add_sql = R"(
    INSERT INTO visitors (name) VALUES ($1)
    RETURNING id, name, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))";

void write_visitor(Writer& json, const pqxx::row& row) {
    json.StartObject();
    json.Key("id");
    json.Int64(row[0].as<std::int64_t>());
    json.Key("name");
    json.String(row[1].c_str());
    json.Key("created_at");
    json.String(row[2].c_str());
    json.EndObject();
}

void send(FCGX_Request& request, const char* status, std::string_view body) {
    FCGX_FPrintF(request.out, "Status: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", status,
                 static_cast<int>(body.size()));
    FCGX_PutStr(body.data(), static_cast<int>(body.size()), request.out);
}

void list(FCGX_Request& request, pqxx::connection& database) {
    const std::string_view query = FCGX_GetParam("QUERY_STRING", request.envp);
    int limit = 20;
    if (query.starts_with("limit=")) std::from_chars(query.data() + 6, query.data() + query.size(), limit);
    if (limit < 1 || limit > 100) return send(request, "400 Bad Request", "{}");

    // Outside of a transaction block a statement is its own transaction: one round trip instead of three.
    pqxx::nontransaction transaction(database);
    const pqxx::result rows = transaction.exec_prepared("page", limit + 1);
    const auto shown = std::min(static_cast<int>(rows.size()), limit);
    rapidjson::StringBuffer buffer;
    Writer json(buffer);
    json.StartObject();
    json.Key("visitors");
    json.StartArray();
    for (int i = 0; i < shown; ++i) write_visitor(json, rows[i]);
    json.EndArray();
    json.Key("total");
    json.Int64(rows.empty() ? 0 : rows[0][3].as<std::int64_t>());
    json.Key("next");
    if (static_cast<int>(rows.size()) > limit) {
        const std::string last = rows[shown - 1][0].c_str();
        json.String(("/api/visitors?limit=" + std::to_string(limit) + "&before=" + last).c_str());
    } else {
        json.Null();
    }
    json.EndObject();
    send(request, "200 OK", {buffer.GetString(), buffer.GetSize()});
}

void add(FCGX_Request& request, pqxx::connection& database) {
    char body[4097];
    const int length = FCGX_GetStr(body, sizeof body, request.in);
    rapidjson::Document document;
    document.Parse<rapidjson::kParseValidateEncodingFlag>(body, static_cast<std::size_t>(length));
    if (document.HasParseError()) return send(request, "400 Bad Request", "{}");
    if (!document.IsObject() || !document.HasMember("name") || !document["name"].IsString()) {
        return send(request, "422 Unprocessable Content", "{}");
    }
    const std::string name = document["name"].GetString();
    const auto characters = std::count_if(name.begin(), name.end(), [](char c) { return (c & 0xC0) != 0x80; });
    if (characters < 1 || characters > 50) return send(request, "422 Unprocessable Content", "{}");

    pqxx::nontransaction transaction(database);
    rapidjson::StringBuffer buffer;
    Writer json(buffer);
    write_visitor(json, transaction.exec_prepared1("add", name));
    send(request, "201 Created", {buffer.GetString(), buffer.GetSize()});
}

void work(int listener) {
    pqxx::connection database;
    database.prepare("page", page_sql);
    database.prepare("add", add_sql);
    FCGX_Request request;
    FCGX_InitRequest(&request, listener, 0);
    while (FCGX_Accept_r(&request) == 0) {
        try {
            const bool adds = std::strcmp(FCGX_GetParam("REQUEST_METHOD", request.envp), "POST") == 0;
            (adds ? add : list)(request, database);
        } catch (const std::exception&) {
            send(request, "503 Service Unavailable", "{}");
        }
        FCGX_Finish_r(&request);
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    FCGX_Init();
    const int listener = FCGX_OpenSocket(argv[1], 1024);
    std::vector<std::thread> threads;
    for (int i = std::atoi(argv[2]); i > 0; --i) threads.emplace_back(work, listener);
    for (std::thread& thread : threads) thread.join();
}
