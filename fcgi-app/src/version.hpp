// The service's version, in one place: the index says it, --version prints it, the images are tagged with it.
#pragma once

#include <string_view>

namespace app {

constexpr std::string_view version = "2.0.0";

}  // namespace app
