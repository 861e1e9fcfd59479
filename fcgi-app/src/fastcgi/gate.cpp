// The check, record by record, then pair by pair.
#include "fastcgi/gate.hpp"

#include "http/limits.hpp"

#include <charconv>
#include <optional>

namespace app {
namespace {

constexpr std::size_t header_bytes = 8;
constexpr unsigned version_1 = 1;
constexpr unsigned type_begin = 1;
constexpr unsigned type_params = 4;
constexpr unsigned type_stdin = 5;
constexpr unsigned role_responder = 1;
constexpr std::size_t request_id_max_bytes = 64;

unsigned octet(std::string_view bytes, std::size_t at) { return static_cast<unsigned char>(bytes[at]); }

unsigned two_octets(std::string_view bytes, std::size_t at) { return octet(bytes, at) << 8 | octet(bytes, at + 1); }

struct Record {
    unsigned type = 0;
    unsigned id = 0;
    std::string_view content;
};

struct Pair {
    std::string_view name;
    std::string_view value;
};

// Takes the first record off `bytes`; none if it is not there whole.
std::optional<Record> take_record(std::string_view& bytes) {
    if (bytes.size() < header_bytes) return std::nullopt;
    const std::size_t content = two_octets(bytes, 4);
    const std::size_t padding = octet(bytes, 6);
    if (bytes.size() < header_bytes + content + padding) return std::nullopt;
    const Record record{octet(bytes, 1), two_octets(bytes, 2), bytes.substr(header_bytes, content)};
    bytes.remove_prefix(header_bytes + content + padding);
    return record;
}

// Section 3.4: one octet, or four whose first bit is set.
std::optional<std::size_t> take_length(std::string_view& params) {
    if (params.empty()) return std::nullopt;
    const unsigned first = octet(params, 0);
    if (first < 0x80) {
        params.remove_prefix(1);
        return first;
    }
    if (params.size() < 4) return std::nullopt;
    const std::size_t length = std::size_t{first & 0x7f} << 24 | octet(params, 1) << 16 | two_octets(params, 2);
    params.remove_prefix(4);
    return length;
}

// Takes the first pair off `params`; none if they do not begin with a well-formed one.
std::optional<Pair> take_pair(std::string_view& params) {
    const auto name_length = take_length(params);
    const auto value_length = name_length ? take_length(params) : std::nullopt;
    if (!value_length || *name_length > params.size() || *value_length > params.size() - *name_length)
        return std::nullopt;
    const Pair pair{params.substr(0, *name_length), params.substr(*name_length, *value_length)};
    params.remove_prefix(*name_length + *value_length);
    // libfcgi keeps both as C strings: what stands behind a NUL would be lost unseen.
    if (pair.name.empty() || pair.name.find('\0') != pair.name.npos || pair.value.find('\0') != pair.value.npos)
        return std::nullopt;
    return pair;
}

// Whether `params` are well-formed pairs, and each CONTENT_LENGTH among them, or 0 where there is none, is `body_bytes`.
bool are_right(std::string_view params, std::size_t body_bytes) {
    std::size_t declared = 0;
    while (!params.empty()) {
        const auto pair = take_pair(params);
        if (!pair) return false;
        const std::string_view value = pair->value;
        if (pair->name != "CONTENT_LENGTH" || value.empty()) continue;
        const auto [end, error] = std::from_chars(value.begin(), value.end(), declared);
        if (error != std::errc() || end != value.end() || declared != body_bytes) return false;
    }
    return declared == body_bytes;
}

}  // namespace

Framing inspect(std::string_view bytes) {
    if (bytes.size() > request_max_bytes) return Framing::oversized;
    const Framing unfinished = bytes.size() == request_max_bytes ? Framing::oversized : Framing::incomplete;
    unsigned expected = type_begin;
    unsigned id = 0;
    std::size_t body_bytes = 0;
    std::string params;  // of all records
    while (!bytes.empty()) {
        // Wrong already in what has come of the header: no need to wait for the rest.
        if (octet(bytes, 0) != version_1) return Framing::malformed;
        if (bytes.size() > 1 && octet(bytes, 1) != expected) return Framing::malformed;
        const auto record = take_record(bytes);
        if (!record) return unfinished;
        if (record->id == 0 || (expected != type_begin && record->id != id)) return Framing::malformed;
        const std::string_view content = record->content;
        if (expected == type_begin) {
            if (content.size() != 8 || two_octets(content, 0) != role_responder) return Framing::malformed;
            id = record->id;
            expected = type_params;
        } else if (expected == type_params) {
            params += content;
            if (content.empty()) expected = type_stdin;
        } else if (!content.empty()) {
            body_bytes += content.size();
        } else {
            return bytes.empty() && are_right(params, body_bytes) ? Framing::whole : Framing::malformed;
        }
    }
    return unfinished;
}

std::string request_id_in(std::string_view bytes) {
    std::string params;
    while (const auto record = take_record(bytes)) {
        if (record->type == type_params) params += record->content;
    }
    std::string_view rest = params;
    while (const auto pair = take_pair(rest)) {
        if (pair->name == "REQUEST_ID") return std::string(pair->value.substr(0, request_id_max_bytes));
    }
    return {};
}

}  // namespace app
