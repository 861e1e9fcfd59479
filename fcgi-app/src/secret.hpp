// Secrets are files (a mounted secret, or one that only the service's users can read): never arguments or
// environment values, which others can see. Any thread.
#pragma once

#include <string>

namespace app {

// The file's text without one trailing newline; throws std::runtime_error, naming the path, if it cannot be
// read or is empty.
std::string read_secret(const std::string& path);

}  // namespace app
