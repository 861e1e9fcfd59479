// JSON read and written. The corpus follows RFC 8259 rule by rule: what is JSON, what is not, and
// what the standard leaves to an implementation.
#include "visitors/visitor.hpp"

#include "http/problem.hpp"
#include "text/encoding.hpp"
#include "text/json_text.hpp"

#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <ostream>
#include <string>
#include <vector>

namespace app {
namespace {

namespace data = boost::unit_test::data;
using namespace std::string_literals;

struct Body {
    std::string title;
    std::string text;
};
std::ostream& operator<<(std::ostream& out, const Body& body) { return out << body.title; }

std::string repeated(std::string_view text, std::size_t times) {
    std::string all;
    for (std::size_t i = 0; i < times; ++i) all += text;
    return all;
}

std::string nested(std::size_t depth, std::string_view opening, std::string_view closing,
                   std::string_view middle = {}) {
    return repeated(opening, depth) + std::string(middle) + repeated(closing, depth);
}

// `text` as the value of a name.
std::string named(std::string_view text) { return R"({"name":)" + std::string(text) + '}'; }

struct Addition {
    std::string title;
    std::string text;
    std::optional<std::string> name;
};
std::ostream& operator<<(std::ostream& out, const Addition& addition) { return out << addition.title; }

const std::vector<Addition> additions = {
    {"no body", "", std::nullopt},
    {"an empty object", "{}", std::nullopt},
    {"a name of null", named("null"), std::nullopt},
    {"a name", named(R"("Ada")"), "Ada"},
    {"white space wherever it may stand", " \t\n\r{ \t\n\r\"name\" \t\n\r: \t\n\r\"Ada\" \t\n\r} \t\n\r", "Ada"},
    {"a name that is trimmed", named("\"\u00A0Ada\u2003\""), "Ada"},
    {"a name that is trimmed of what is escaped", named(R"(" \t\u0085\u2028Ada\u3000\r\n")"), "Ada"},
    {"every short escape that stays", named(R"("a\"b\\c\/d")"), "a\"b\\c/d"},
    {"hexadecimal digits in both cases", named(R"("\u00E9\u00e9")"), "éé"},
    {"an escaped emoji", named(R"("\ud83d\uDE00")"), "😀"},
    {"the first code point of two halves, escaped", named(R"("\ud800\udc00")"), "\U00010000"},
    {"the last code point but two, escaped", named(R"("\udbff\udffd")"), "\U0010FFFD"},
    {"the letters around the surrogates, escaped", named(R"("\ud7ff\ue000")"), "\uD7FF\uE000"},
    {"a backslash before what is then no escape", named(R"("\\ud800")"), "\\ud800"},
    {"three backslashes before an escape", named(R"("\\\u0041")"), "\\A"},
    {"an escaped member name", R"({"\u006eam\u0065":"Ada"})", "Ada"},
    {"a digit run in a string", named(R"("12345678901234567890")"), "12345678901234567890"},
    {"a digit run after an escaped quote", named(R"("\"1234")"), "\"1234"},
    {"the JSON of a visitor in a string", named(R"("{\"name\":1}")"), R"({"name":1})"},
    {"brackets in a string, which do not nest", named('"' + repeated("[", 25) + repeated("{", 25) + '"'),
     repeated("[", 25) + repeated("{", 25)},
    {"50 letters", named('"' + repeated("x", 50) + '"'), repeated("x", 50)},
    {"50 letters between white space", named("\"  " + repeated("x", 50) + " \""), repeated("x", 50)},
    {"50 escaped emoji", named('"' + repeated(R"(\ud83d\ude00)", 50) + '"'), repeated("😀", 50)},
    {"markup", named(R"("<script>alert('x')</script>")"), "<script>alert('x')</script>"},
    {"DEL is JSON, and here white space is around", named(R"("  a b  ")"), "a b"},
    {"4 KiB, most of it white space", R"({"name":"Ada"})" + repeated(" ", 4082), "Ada"},
};

const std::vector<Body> not_json = {
    {"a space", " "},
    {"line ends alone", "\r\n\t"},
    {"a byte", "x"},
    {"a form", "name=Ada"},
    {"an object that is not closed", R"({"name":"Ada")"},
    {"an object that is only opened", "{"},
    {"an array that is not closed", R"(["Ada")"},
    {"a string that is not closed", R"({"name":"Ada})"},
    {"a quote alone", "\""},
    {"a member without a value", R"({"name":})"},
    {"a member without a colon", R"({"name" "Ada"})"},
    {"a member without a name", R"({:"Ada"})"},
    {"a member alone", R"({"name"})"},
    {"a number for a member's name", R"({1:"Ada"})"},
    {"a colon too many", R"({"name"::"Ada"})"},
    {"a colon in an array", R"(["name":"Ada"])"},
    {"a comma at the end", R"({"name":"Ada",})"},
    {"a comma at the start", R"({,"name":"Ada"})"},
    {"a comma alone", "{,}"},
    {"two commas", R"({"name":"Ada",,"x":1})"},
    {"no comma", R"({"name":"Ada" "x":1})"},
    {"a comma at the end of an array", "[1,]"},
    {"a comma at the start of an array", "[,1]"},
    {"two values without a comma", "[1 2]"},
    {"brackets crossed", R"({"name":[}])"},
    {"a bracket too many", "[]]"},
    {"a brace too many", "{}}"},
    {"a second value", "{}{}"},
    {"a second value after white space", "{} null"},
    {"a letter after the end", "{}x"},
    {"a comma after the end", "{},"},
    {"a comment", R"({"name":"Ada"/* */})"},
    {"a comment after the end", "{}//x"},
    {"single quotes", "{'name':'Ada'}"},
    {"a member's name without quotes", R"({name:"Ada"})"},
    {"typographic quotes", "{“name”:1}"},
    {"True", named("True")},
    {"nul", "nul"},
    {"nulll", "nulll"},
    {"tru in an array", "[tru]"},
    {"undefined", named("undefined")},
    {"NaN", named("NaN")},
    {"Infinity", named("Infinity")},
    {"-Infinity", named("-Infinity")},
    {"a plus", named("+1")},
    {"a leading zero", named("01")},
    {"a leading zero before many digits", named("0123456789")},
    {"a leading zero twice", named("00")},
    {"a leading zero behind a minus", named("-01")},
    {"a leading zero before a fraction", named("00.5")},
    {"a minus alone", named("-")},
    {"two minuses", named("--1")},
    {"a minus behind digits", named("12-3")},
    {"a point alone", named(".")},
    {"a number that begins with a point", named(".5")},
    {"a number that ends with a point", named("1.")},
    {"many digits that end with a point", named("1234567.")},
    {"a point before the exponent", named("1.e3")},
    {"an exponent without digits", named("1e")},
    {"an exponent of a sign", named("1E+")},
    {"an exponent with a point", named("1e2.5")},
    {"two points", named("1.2.3")},
    {"hexadecimal", named("0x1F")},
    {"a letter behind many digits", named("123456a")},
    {"a space in a number", named("12 345")},
    {"digits of another script", named("١")},
    {"an escape that is none", named(R"("\x41")")},
    {"an escape of a digit", named(R"("\0")")},
    {"an escape of a quote of the other kind", named(R"("\'")")},
    {"an escape of a line end", named("\"\\\n\"")},
    {"an escape of a letter of two bytes", named("\"\\é\"")},
    {"\\u without digits", named(R"("\u")")},
    {"\\u with three digits", named(R"("\u00e")")},
    {"\\u with a letter that is no digit", named(R"("\u00eg")")},
    {"\\u with a sign", named(R"("\u+0e9")")},
    {"\\u with a space", named(R"("\u 0e9")")},
    {"\\u with 0x", named(R"("\u0x41")")},
    {"\\U", named(R"("\U0000e9")")},
    {"\\u with braces", named(R"("\u{e9}")")},
    {"half a pair, then \\u without digits", named(R"("\ud800\u")")},
    {"half a pair, then an escape that is none", named(R"("\udc00\x")")},
    {"half a pair cut by the end", R"({"name":"\ud80)"},
    {"a pair cut by the end", R"({"name":"\ud800\udc0)"},
    {"a backslash at the end", R"({"name":"a\)"},
    {"an escaped quote at the end", R"({"name":"a\"})"},
    {"an escape outside of strings", R"({\"name\":1})"},
    {"half a pair outside of strings", R"([\ud800])"},
    {"a raw line feed in a string", named("\"a\nb\"")},
    {"a raw tab in a string", named("\"a\tb\"")},
    {"a raw tab in a member's name", "{\"na\tme\":1}"},
    {"a raw U+001F in a string", named("\"\x1F\"")},
    {"a form feed as white space", "{\f}"},
    {"a vertical tab as white space", "\v{}"},
    {"a no-break space as white space", "{\u00A0}"},
    {"a line separator as white space", "{}\u2028"},
    {"a byte order mark", "\uFEFF{}"},
    {"a byte order mark behind", "{}\uFEFF"},
    {"a NUL", "\0"s},
    {"a NUL before", "\0{}"s},
    {"a NUL behind", "{}\0"s},
    {"a NUL and more behind", "{\"name\":\"Ada\"}\0garbage"s},
    {"a NUL and a second value behind", "{}\0{}"s},
    {"a NUL in a string", named("\"A\0da\""s)},
    {"a NUL in a member's name", "{\"name\0\":1}"s},
    {"a NUL between", "{\0}"s},
    {"an unknown member, then no JSON", R"({"x":1,"y":})"},
    {"a repeated member, then no JSON", R"({"name":"a","name":"b")"},
    {"a wrong type, then no JSON", R"({"name":1])"},
    {"a bad name, then no JSON", R"({"name":""}x)"},
};

const std::vector<Body> not_utf8 = {
    {"a byte that begins nothing", named("\"\xFF\"")},
    {"a stray continuation", named("\"\x80\"")},
    {"Latin-1", named("\"Jos\xE9\"")},
    {"a sequence cut by the quote", named("\"\xE2\x82\"")},
    {"a sequence cut by the end", "{\"name\":\"\xC3"},
    {"overlong", named("\"\xC0\xAF\"")},
    {"a surrogate", named("\"\xED\xA0\x80\"")},
    {"a low surrogate", named("\"\xED\xB0\x80\"")},
    {"a pair of surrogates", named("\"\xED\xA0\xBD\xED\xB8\x80\"")},
    {"U+110000", named("\"\xF4\x90\x80\x80\"")},
    {"in a member's name", "{\"\xFF\":1}"},
    {"outside of strings", "{}\xFF"},
    {"behind what is no JSON", "}{\xFF"},
    {"UTF-16", "\xFF\xFE{\0}\0"s},
    {"behind an unknown member", "{\"x\":1,\"y\":\"\xFF\"}"},
};

const std::vector<Body> too_deep = {
    {"arrays", nested(17, "[", "]")},
    {"objects", nested(16, "{\"a\":", "}", "{}")},
    {"a name", named(nested(16, "[", "]"))},
    {"an unknown member", "{\"x\":" + nested(16, "[", "]") + "}"},
    {"turn and turn about", "[" + nested(8, "[{\"a\":", "}]", "0") + "]"},
    {"behind something as deep as may be", "[" + nested(15, "[", "]") + "," + nested(16, "[", "]") + "]"},
    {"two thousand arrays", nested(2000, "[", "]")},
    {"four thousand arrays that are not closed", repeated("[", 4096)},
    {"six hundred objects", nested(600, "{\"a\":", "}", "1")},
};

struct Refusal {
    std::string title;
    std::string text;
    std::string detail;
};
std::ostream& operator<<(std::ostream& out, const Refusal& refusal) { return out << refusal.title; }

const std::string no_object = "The body must be a JSON object.";
const std::string repeated_name = "name is there more than once";
const std::string wrong_type = "name must be a string or null";
const std::string too_large = "The body has a number that is too large.";

const std::vector<Refusal> not_a_visitor = {
    {"null", "null", no_object},
    {"true", "true", no_object},
    {"a number", "1", no_object},
    {"a negative number with everything", " -0.5e+10 ", no_object},
    {"a string", R"("Ada")", no_object},
    {"an array", "[]", no_object},
    {"an array of a visitor", R"([{"name":"Ada"}])", no_object},
    {"an array of an unknown member", R"([{"x":1}])", no_object},
    {"sixteen arrays", nested(16, "[", "]"), no_object},
    {"sixteen arrays twice", "[" + nested(15, "[", "]") + "," + nested(15, "[", "]") + "]", no_object},
    {"sixteen objects", nested(16, R"({"name":)", "}", "1"), wrong_type},
    {"an unknown member", R"({"age":36})", R"(A visitor has no member "age".)"},
    {"beside a name", R"({"name":"Ada","age":36})", R"(A visitor has no member "age".)"},
    {"the first of two", R"({"b":1,"a":2})", R"(A visitor has no member "b".)"},
    {"before what else is wrong", R"({"name":1,"name":2,"x":3})", R"(A visitor has no member "x".)"},
    {"in another case", R"({"Name":"Ada"})", R"(A visitor has no member "Name".)"},
    {"with a space behind", R"({"name ":"Ada"})", R"(A visitor has no member "name ".)"},
    {"a name and a NUL", R"({"name\u0000":"Ada"})", R"(A visitor has no member "name�".)"},
    {"of no characters", R"({"":1})", R"(A visitor has no member "".)"},
    {"in another script", R"({"имя":1})", R"(A visitor has no member "имя".)"},
    {"of controls", R"({"\u001b[31m\r\n":1})", R"(A visitor has no member "�[31m��".)"},
    {"of an override", "{\"\u202E\":1}", R"(A visitor has no member "�".)"},
    {"of 40 letters", "{\"" + repeated("é", 40) + "\":1}", "A visitor has no member \"" + repeated("é", 40) + "\"."},
    {"of 41 letters", "{\"" + repeated("é", 41) + "\":1}", "A visitor has no member \"" + repeated("é", 40) + "…\"."},
    {"with a visitor in it", R"({"x":{"name":"Ada"}})", R"(A visitor has no member "x".)"},
    {"as deep as may be", "{\"x\":" + nested(15, "[", "]") + "}", R"(A visitor has no member "x".)"},
    {"a name twice", R"({"name":"a","name":"a"})", repeated_name},
    {"a name twice, one null", R"({"name":null,"name":"a"})", repeated_name},
    {"a name twice, one escaped", R"({"name":"a","n\u0061me":"b"})", repeated_name},
    {"a name twice, one a wrong type", R"({"name":1,"name":"a"})", repeated_name},
    {"a name twice, one bad", R"({"name":"","name":"a"})", repeated_name},
    {"a name of true", named("true"), wrong_type},
    {"a name of false", named("false"), wrong_type},
    {"a name of 0", named("0"), wrong_type},
    {"a name of -0", named("-0"), wrong_type},
    {"a name of 1.5E-3", named("1.5E-3"), wrong_type},
    {"a name of []", named("[]"), wrong_type},
    {"a name of a name in an array", named(R"(["Ada"])"), wrong_type},
    {"a name of {}", named("{}"), wrong_type},
    {"a name of a visitor", named(R"({"name":"Ada"})"), wrong_type},
    {"a name of something unknown", named(R"({"x":1})"), wrong_type},
    {"a name as deep as may be", named(nested(15, "[", "]")), wrong_type},
    // The standard leaves it open what is made of these numbers, not whether they are JSON.
    {"1e-400", named("1e-400"), wrong_type},
    {"a tiny exponent", named("0.00000000000000001e-2147483639"), wrong_type},
    {"an exponent with leading zeros", named("1e0001"), wrong_type},
    {"a fraction with leading zeros", named("1.0001"), wrong_type},
    {"2^64", named("18446744073709551616"), wrong_type},
    {"a number that crashed RapidJSON", named("128.74836467836484838364836483643636483648e-336"), wrong_type},
    {"a thousand decimals", named("0." + repeated("1", 1000)), wrong_type},
    // RapidJSON stops at these, so what is behind them does not count.
    {"1e400", named("1e400"), too_large},
    {"-1e400", named("-1e400"), too_large},
    {"0e999", named("0e999"), too_large},
    {"a huge exponent", named("1e99999999999999999999"), too_large},
    {"a thousand digits", named(repeated("9", 1000)), too_large},
    {"four thousand digits", repeated("1", 4000), too_large},
    {"1e400 in an unknown member", R"({"x":1e400})", too_large},
    {"1e400 behind an unknown member", R"({"x":1,"name":1e400})", too_large},
    {"1e400, then no JSON", R"({"name":1e400]})", too_large},
};

const std::vector<Body> of_bad_length = {
    {"nothing", named(R"("")")},
    {"a space", named(R"(" ")")},
    {"white space alone", named(R"("\u00a0\u2003\u3000\u0085")")},
    {"51 letters", named('"' + repeated("x", 51) + '"')},
    {"51 escaped emoji", named('"' + repeated(R"(\ud83d\ude00)", 51) + '"')},
    {"four thousand letters", named('"' + repeated("x", 4000) + '"')},
};

const std::vector<Body> of_bad_characters = {
    {"an escaped NUL", named(R"("a\u0000b")")},
    {"a NUL alone", named(R"("\u0000")")},
    {"an escaped line feed inside", named(R"("a\nb")")},
    {"a backspace", named(R"("a\b")")},
    {"DEL", named("\"a\x7F\"")},
    {"C1", named("\"a\u0080\"")},
    {"an override", named("\"a\u202E\"")},
    {"an escaped isolate", named(R"("a\u2066")")},
    {"a noncharacter", named("\"\uFFFE\"")},
    {"an escaped noncharacter", named(R"("\udbff\udfff")")},
    {"a lone high surrogate", named(R"("\ud800")")},
    {"the last high surrogate", named(R"("\uDBFF")")},
    {"a lone low surrogate", named(R"("\udc00")")},
    {"the last low surrogate", named(R"("\uDFFF")")},
    {"a high surrogate at the end", named(R"("Ada\ud83d")")},
    {"a high surrogate before a letter", named(R"("\ud83dAda")")},
    {"a high surrogate before another escape", named(R"("\ud83d\n")")},
    {"a high surrogate before a letter's code", named(R"("\ud83d\u0041")")},
    {"a high surrogate before an escaped backslash", named(R"("\ud83d\\ude00")")},
    {"two high surrogates", named(R"("\ud83d\ud83d")")},
    {"a high surrogate before a pair", named(R"("\ud83d\ud83d\ude00")")},
    {"a low surrogate after a pair", named(R"("\ud83d\ude00\ude00")")},
    {"a pair the wrong way round", named(R"("\ude00\ud83d")")},
    {"51 halves of pairs", named('"' + repeated(R"(\ud83d)", 51) + '"')},
    // Wherever they stand, and whatever is behind them.
    {"half a pair in a name, then no JSON", named(R"("\ud800"}x)")},
    {"a low surrogate in a name, then no JSON", named(R"("\udc00"}x)")},
    {"half a pair in a string that is not closed", R"({"name":"\ud800)"},
    {"half a pair in a member's name", R"({"\ud800":1})"},
    {"a low surrogate in a member's name", R"({"\udc00":1})"},
    {"half a pair in an unknown member", R"({"x":"\ud800"})"},
    {"a low surrogate in an unknown member", R"({"x":"\udfff"})"},
    {"a low surrogate in what is no object", R"(["\udfff"])"},
    {"a low surrogate deep in a name", named(R"([{"\udfff":1}])")},
};

void check_refusal(const Result<Name>& result, int status, std::string_view type, std::string_view detail) {
    BOOST_REQUIRE(!result);
    BOOST_TEST(result.error().status == status);
    BOOST_TEST(result.error().type == type);
    BOOST_TEST(result.error().detail == detail);
    BOOST_TEST(result.error().headers.empty());
}

BOOST_AUTO_TEST_SUITE(json_test, *boost::unit_test::timeout(5))

BOOST_DATA_TEST_CASE(a_visitor_is_read, data::make(additions), sample) {
    const auto visitor = parse_new_visitor(sample.text);
    BOOST_REQUIRE(static_cast<bool>(visitor));
    BOOST_TEST(visitor->has_value() == sample.name.has_value());
    BOOST_TEST(visitor->value_or("") == sample.name.value_or(""));
}

BOOST_DATA_TEST_CASE(what_is_not_json_is_a_400, data::make(not_json), sample) {
    check_refusal(parse_new_visitor(sample.text), 400, "about:blank", "The body is not JSON.");
}

BOOST_DATA_TEST_CASE(what_is_not_utf8_is_a_400, data::make(not_utf8), sample) {
    check_refusal(parse_new_visitor(sample.text), 400, "about:blank", "The body is not UTF-8.");
}

BOOST_DATA_TEST_CASE(what_nests_deeper_than_16_is_a_400, data::make(too_deep), sample) {
    check_refusal(parse_new_visitor(sample.text), 400, "about:blank", "The body nests deeper than 16 levels.");
}

BOOST_DATA_TEST_CASE(json_that_is_no_visitor_is_a_422, data::make(not_a_visitor), sample) {
    check_refusal(parse_new_visitor(sample.text), 422, "about:blank", sample.detail);
}

BOOST_DATA_TEST_CASE(a_name_of_bad_length_is_a_422_of_its_type, data::make(of_bad_length), sample) {
    check_refusal(parse_new_visitor(sample.text), 422, "/problems/name-length", "name must have 1 to 50 characters");
}

BOOST_DATA_TEST_CASE(a_name_of_bad_characters_is_a_422_of_its_type, data::make(of_bad_characters), sample) {
    check_refusal(
        parse_new_visitor(sample.text), 422, "/problems/name-characters",
        "name must not have control characters, line separators, changes of writing direction, lone surrogates "
        "or noncharacters");
}

// A body may be cut anywhere: each part of a visitor but the whole is refused, as a 422 where the cut makes half of a pair.
BOOST_AUTO_TEST_CASE(every_part_of_a_visitor_is_refused) {
    const std::string whole = R"({"name":"A\ud83d\ude00é"})";
    BOOST_REQUIRE(static_cast<bool>(parse_new_visitor(whole)));
    for (std::size_t bytes = 1; bytes < whole.size(); ++bytes) {
        const auto part = parse_new_visitor(std::string_view(whole).substr(0, bytes));
        BOOST_REQUIRE(!part);
        const bool half = bytes >= whole.find("\\ude00") && bytes < whole.find("\\ude00") + 2;
        BOOST_TEST(part.error().status == (half ? 422 : 400));
    }
}

BOOST_AUTO_TEST_CASE(what_is_written_is_read_again) {
    for (const Addition& addition : additions) {
        if (!addition.name) continue;
        std::string body = R"({"name":)";
        append_json_string(body, *addition.name);
        const auto visitor = parse_new_visitor(body + '}');
        BOOST_TEST((visitor && *visitor == addition.name));
    }
}

const Visitor ada{129, "Ada Lovelace", "2026-11-24T03:33:00.123456Z"};
const Visitor odd{9223372036854775807, "\"\\/é😀<", "2026-11-24T03:33:00.000000Z"};

BOOST_AUTO_TEST_CASE(a_visitor_is_written) {
    BOOST_TEST(json_of(ada, visitor_fields) ==
               R"({"id":129,"name":"Ada Lovelace","created_at":"2026-11-24T03:33:00.123456Z"})");
    BOOST_TEST(json_of(odd, visitor_fields) ==
               R"({"id":9223372036854775807,"name":"\"\\/é😀<","created_at":"2026-11-24T03:33:00.000000Z"})");
}

BOOST_AUTO_TEST_CASE(a_page_is_written) {
    const Page page{.visitors = {odd, ada}, .more = true, .total = 129};
    BOOST_TEST(to_json(page, "/api/visitors?limit=2&before=129") ==
               R"({"visitors":[)" + json_of(odd, visitor_fields) + "," + json_of(ada, visitor_fields) +
                   R"(],"total":129,"next":"/api/visitors?limit=2&before=129"})");
}

BOOST_AUTO_TEST_CASE(a_page_without_visitors_total_or_next_is_written) {
    BOOST_TEST(to_json(Page{}, "") == R"({"visitors":[],"total":null,"next":null})");
    BOOST_TEST(to_json(Page{.visitors = {}, .more = false, .total = 0}, "") ==
               R"({"visitors":[],"total":0,"next":null})");
}

BOOST_AUTO_TEST_CASE(statistics_are_written_and_the_first_day_is_today) {
    const Stats stats{.total = 128, .days = {{"2026-11-24", 3}, {"2026-11-23", 0}}};
    BOOST_TEST(to_json(stats) ==
               R"({"total":128,"today":3,"days":[{"day":"2026-11-24","count":3},{"day":"2026-11-23","count":0}]})");
    BOOST_TEST(to_json(Stats{}) == R"({"total":0,"today":0,"days":[]})");
}

BOOST_AUTO_TEST_CASE(a_problem_is_written) {
    const Problem problem{
        .status = 422, .type = "/problems/name-length", .detail = "name must have 1 to 50 characters", .headers = {}};
    BOOST_TEST(problem_json(problem, "/api/visitors", "4711") ==
               R"({"type":"/problems/name-length","title":"Unprocessable Content","status":422,)"
               R"("detail":"name must have 1 to 50 characters","instance":"/api/visitors","request_id":"4711"})");
}

BOOST_AUTO_TEST_CASE(what_a_problem_does_not_have_is_left_out) {
    BOOST_TEST(problem_json({.status = 503, .detail = {}, .headers = {}}, "", "") ==
               R"({"type":"about:blank","title":"Service Unavailable","status":503})");
}

BOOST_AUTO_TEST_CASE(an_instance_is_a_uri_whatever_the_path) {
    const Problem problem{.status = 404, .detail = {}, .headers = {}};
    BOOST_TEST(problem_json(problem, "/api/é \"\\\xFF\n%?#", "") ==
               R"({"type":"about:blank","title":"Not Found","status":404,)"
               R"("instance":"/api/%C3%A9%20%22%5C%FF%0A%25%3F%23"})");
    BOOST_TEST(
        problem_json(problem, "/aZ09-._~!$&'()*+,;=:@", "").ends_with(R"("instance":"/aZ09-._~!$&'()*+,;=:@"})"));
}

const std::vector<Addition> strings = {
    {"nothing", "", R"("")"},
    {"ASCII", "Ada", R"("Ada")"},
    {"quotes and backslashes", R"("\/)", R"("\"\\/")"},
    {"a quote in the middle", R"(a"b)", R"("a\"b")"},
    {"controls", "\0\t\n\x0F\x10\x1F\x7F"s, "\"\\u0000\\u0009\\u000a\\u000f\\u0010\\u001f\x7F\""},
    {"every length of character", "aé€😀a", R"("aé€😀a")"},
    {"invalid bytes between valid ones",
     "a\xFF"
     "é\xC3",
     "\"a\uFFFDé\uFFFD\""},
    {"each byte of a surrogate", "\xED\xA0\x80", "\"\uFFFD\uFFFD\uFFFD\""},
    {"a character that is cut, then a quote", "\xE2\x82\"", "\"\uFFFD\uFFFD\\\"\""},
};

BOOST_DATA_TEST_CASE(a_string_is_quoted_and_escaped, data::make(strings), sample) {
    std::string out = "before";
    append_json_string(out, sample.text);
    BOOST_TEST(out == "before" + *sample.name);
    BOOST_TEST(is_utf8(out));
}

BOOST_AUTO_TEST_CASE(every_byte_makes_a_valid_string) {
    for (int byte = 0; byte < 0x100; ++byte) {
        std::string body = "[";
        append_json_string(body, std::string(3, static_cast<char>(byte)));
        BOOST_TEST(parse_new_visitor(body + ']').error().detail == no_object);
    }
}

BOOST_AUTO_TEST_CASE(every_status_that_is_sent_has_its_words) {
    for (const int status : {200, 201, 204, 304, 400, 401, 403, 404, 405, 412, 413, 415, 422, 428, 500, 503}) {
        BOOST_TEST(!reason_phrase(status).empty());
    }
    BOOST_TEST(reason_phrase(422) == "Unprocessable Content");
    BOOST_TEST(reason_phrase(418).empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace app
