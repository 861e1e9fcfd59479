// Any bytes as a query string, an id and a condition. Aborts where what is promised does not hold.
#include "base/encoding.hpp"
#include "base/parameter.hpp"
#include "http/etag.hpp"
#include "http/query.hpp"
#include "visitors/visitor.hpp"

#include <cstdint>
#include <cstdlib>

namespace {

void require(bool promise) {
    if (!promise) std::abort();
}

void check_problem(const app::Problem& problem) {
    require(problem.status == 400);
    require(!problem.detail.empty() && problem.detail.size() < 600 && app::is_utf8(problem.detail));
}

void check_question(const app::PageQuestion& question) {
    require(question.limit >= 1 && question.limit <= 100 && question.before.value_or(1) >= 1);
    require(app::is_utf8(question.text) && app::count_code_points(question.text) <= 50);
    // The next page is a question too: the same, but for its place.
    app::PageQuestion expected = question;
    expected.before = 42;
    const std::string link = app::next_link(question, 42);
    const auto next = app::parse_page_question(std::string_view(link).substr(link.find('?') + 1));
    require(next && *next == expected);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t count) {
    const std::string_view text(reinterpret_cast<const char*>(bytes), count);
    const auto page = app::parse_page_question(text);
    page ? check_question(*page) : check_problem(page.error());
    const auto stats = app::parse_stats_question(text);
    if (!stats) check_problem(stats.error());
    require(!stats || (stats->days >= 1 && stats->days <= 366));
    if (const auto problem = app::refuse_parameters(text)) check_problem(*problem);
    if (const auto id = app::parse_number(text, 0, app::id_max)) require(std::to_string(*id) == text);

    const std::string etag = app::strong_etag(text);
    require(app::if_none_match(etag, etag) && app::if_none_match("\"x\", W/" + etag + " ,", etag));
    require(app::if_match(etag, etag) && app::if_match("\"x\", W/" + etag + " ,", etag));
    require(!app::if_match(text, etag) || text.empty() || app::if_none_match(text, etag));
    require(!app::if_none_match(text, etag) || text.find('*') != text.npos || text.find('"') != text.npos);
    return 0;
}
