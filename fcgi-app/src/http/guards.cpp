// The checks that a handler makes first.
#include "http/guards.hpp"

#include "http/etag.hpp"
#include "http/limits.hpp"
#include "http/query.hpp"

#include <algorithm>
#include <cctype>
#include <utility>

namespace app {
namespace {

constexpr char json_type[] = "application/json";

std::string lower_case(std::string_view text) {
    std::string lower(text);
    std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return lower;
}

// RFC 9110, 8.3: type/subtype, then parameters; ours takes one, charset=utf-8, with or without quotes.
bool is_json(std::string_view content_type) {
    std::string rest = lower_case(content_type);
    if (!rest.starts_with(json_type)) return false;
    rest.erase(0, sizeof json_type - 1);
    std::erase_if(rest, [](char c) { return c == ' ' || c == '\t'; });
    while (rest.ends_with(';')) rest.pop_back();
    return rest.empty() || rest == ";charset=utf-8" || rest == ";charset=\"utf-8\"";
}

// Takes as long for a token that is nearly right as for one that is not right at all.
bool same_token(std::string_view given, std::string_view expected) {
    unsigned difference = given.size() == expected.size() ? 0 : 1;
    for (std::size_t i = 0; i < given.size(); ++i) {
        difference |= static_cast<unsigned>(given[i] ^ expected[i % expected.size()]);
    }
    return difference == 0;
}

}  // namespace

std::optional<Problem> refuse_other_sites(const Request& request) {
    const std::string_view site = request.header("Sec-Fetch-Site");
    if (site.empty() || site == "same-origin" || site == "none") return std::nullopt;
    return Problem{.status = 403, .detail = "Another site's page cannot do this."};
}

std::optional<Problem> refuse_key(std::string_view key) {
    const bool visible = std::ranges::all_of(key, [](char c) { return c > ' ' && c < '\x7f'; });
    if (visible && key.size() <= idempotency_key_max_bytes) return std::nullopt;
    return Problem{.status = 400, .detail = "Idempotency-Key must be 1 to 64 visible ASCII characters."};
}

std::optional<Problem> refuse_strangers(const Request& request, std::string_view admin_token) {
    if (admin_token.empty()) return Problem{.status = 403, .detail = "No admin token is configured."};
    constexpr std::string_view scheme = "bearer ";
    const std::string_view given = request.header("Authorization");
    if (lower_case(given.substr(0, scheme.size())) == scheme) {
        const auto start = std::min(given.find_first_not_of(' ', scheme.size()), given.size());
        if (same_token(given.substr(start), admin_token)) return std::nullopt;
    }
    return Problem{.status = 401,
                   .detail = given.empty() ? "This needs the admin token." : "This is not the admin token.",
                   .headers = {{"WWW-Authenticate", "Bearer"}}};
}

std::optional<Problem> refuse_body(const Request& request, std::size_t bytes_max) {
    if (request.body.size() > bytes_max) {
        return Problem{.status = 413, .detail = "The body may have at most " + std::to_string(bytes_max) + " bytes."};
    }
    if (request.body.empty() || is_json(request.header("Content-Type"))) return std::nullopt;
    return Problem{.status = 415,
                   .detail = "The body must be application/json, in UTF-8.",
                   .headers = {{request.method == "PATCH" ? "Accept-Patch" : "Accept-Post", json_type}}};
}

std::optional<Problem> refuse_write(const Request& request, std::size_t bytes_max) {
    if (auto problem = refuse_other_sites(request)) return problem;
    if (auto problem = refuse_parameters(request.query)) return problem;
    if (auto problem = refuse_body(request, bytes_max)) return problem;
    return refuse_key(request.header("Idempotency-Key"));
}

std::optional<Problem> refuse_version(std::string_view if_match_header, std::string_view etag, std::string_view what) {
    if (if_match(if_match_header, etag)) return std::nullopt;
    std::string detail = "The " + std::string(what) + " is not the one that If-Match names. Nothing was changed.";
    return Problem{.status = 412, .detail = std::move(detail)};
}

}  // namespace app
