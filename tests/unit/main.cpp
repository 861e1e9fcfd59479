// The unit tests' main function comes from Boost.Test; each other file here tests the source file
// of its name.
#define BOOST_TEST_MODULE unit
#include <boost/test/unit_test.hpp>
