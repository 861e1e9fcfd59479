// CSV by RFC 4180.
#include "visitors/visitor.hpp"

#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <ostream>
#include <string>
#include <vector>

namespace app {
namespace {

namespace data = boost::unit_test::data;

struct Sample {
    std::string title;
    std::string name;
    std::string field;
};
std::ostream& operator<<(std::ostream& out, const Sample& field) { return out << field.title; }

const std::vector<Sample> samples = {
    {"a plain name", "Ada Lovelace", "Ada Lovelace"},
    {"spaces, which belong to the field", " Ada ", " Ada "},
    {"a comma", "Lovelace, Ada", "\"Lovelace, Ada\""},
    {"a quote", "5\" Ada", "\"5\"\" Ada\""},
    {"a quote alone", "\"", "\"\"\"\""},
    {"quotes around", "\"Ada\"", "\"\"\"Ada\"\"\""},
    {"a carriage return", "a\rb", "\"a\rb\""},
    {"a line feed", "a\nb", "\"a\nb\""},
    {"other scripts", "Zoë 😀 имя", "Zoë 😀 имя"},
    {"apostrophe, semicolon and tab", "O'Hara;\tb", "O'Hara;\tb"},
    {"a formula, kept as it is", "=1+1", "=1+1"},
};

BOOST_AUTO_TEST_SUITE(csv_test, *boost::unit_test::timeout(5))

BOOST_AUTO_TEST_CASE(the_header_names_the_columns) {
    BOOST_TEST(csv_header(visitor_fields) == "id,name,created_at\r\n");
}

BOOST_DATA_TEST_CASE(a_field_is_quoted_where_it_must_be, data::make(samples), sample) {
    std::string out;
    append_csv(out, Visitor{129, sample.name, "2026-11-24T03:33:00.123456Z"}, visitor_fields);
    BOOST_TEST(out == "129," + sample.field + ",2026-11-24T03:33:00.123456Z\r\n");
}

BOOST_AUTO_TEST_CASE(rows_are_appended) {
    std::string out(csv_header(visitor_fields));
    append_csv(out, Visitor{1, "a", "t"}, visitor_fields);
    append_csv(out, Visitor{9223372036854775807, "b", "u"}, visitor_fields);
    BOOST_TEST(out == "id,name,created_at\r\n1,a,t\r\n9223372036854775807,b,u\r\n");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace app
