// Secrets are files (a mounted secret, or one that only the service's users can read): never arguments or environment
// values, which others can see. Knows nothing of what they are for. Any thread.
#pragma once

#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

namespace app {

// The file's text without one trailing newline. Throws std::runtime_error with the path if it is empty or cannot be read.
inline std::string read_secret(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    file.peek();  // A directory can be opened; that it cannot be read would be an iterator's exception.
    if (!file) throw std::runtime_error(path + " cannot be read");
    std::string secret{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (secret.ends_with('\n')) secret.pop_back();
    if (secret.empty()) throw std::runtime_error(path + " is empty");
    return secret;
}

}  // namespace app
