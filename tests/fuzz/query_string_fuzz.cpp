// Any bytes as a query string, an id and a condition. Aborts where what is promised does not hold.
#include "http/etag.hpp"
#include "http/query.hpp"
#include "text/encoding.hpp"
#include "text/parameter.hpp"

#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

namespace {

constexpr auto number_max = std::numeric_limits<std::int64_t>::max();

void require(bool promise) {
    if (!promise) std::abort();
}

void check_problem(const app::Problem& problem) {
    require(problem.status == 400);
    require(!problem.detail.empty() && problem.detail.size() < 600 && app::is_utf8(problem.detail));
}

struct Question {
    int limit = 20;
    std::int64_t before = 1;
    std::string text;

    bool operator==(const Question&) const = default;
};

app::Result<Question> parse(std::string_view query) {
    Question question;
    app::Parameter known[] = {app::whole_number("limit", question.limit, 1, 100),
                              app::whole_number("before", question.before, 1, number_max),
                              app::search_text("q", question.text, 50)};
    if (auto problem = app::read_parameters(query, known)) return std::move(*problem);
    return question;
}

void check_question(const Question& question) {
    require(question.limit >= 1 && question.limit <= 100 && question.before >= 1);
    require(app::is_utf8(question.text) && app::count_code_points(question.text) <= 50);
    // A link to the same is the same question.
    const std::string link = app::link_to(
        "/api/items",
        {{"limit", std::to_string(question.limit)}, {"before", std::to_string(question.before)}, {"q", question.text}});
    const auto again = parse(std::string_view(link).substr(link.find('?') + 1));
    require(again && *again == question);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t count) {
    const std::string_view text(reinterpret_cast<const char*>(bytes), count);
    const auto question = parse(text);
    question ? check_question(*question) : check_problem(question.error());
    if (const auto problem = app::refuse_parameters(text)) check_problem(*problem);
    if (const auto id = app::parse_number(text, 0, number_max)) require(std::to_string(*id) == text);

    const std::string etag = app::strong_etag(text);
    require(app::if_none_match(etag, etag) && app::if_none_match("\"x\", W/" + etag + " ,", etag));
    require(app::if_match(etag, etag) && app::if_match("\"x\", W/" + etag + " ,", etag));
    require(!app::if_match(text, etag) || text.empty() || app::if_none_match(text, etag));
    require(!app::if_none_match(text, etag) || text.find('*') != text.npos || text.find('"') != text.npos);
    return 0;
}
