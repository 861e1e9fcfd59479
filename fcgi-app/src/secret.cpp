// Reading a secret from its file.
#include "secret.hpp"

#include <fstream>
#include <iterator>
#include <stdexcept>

namespace app {

std::string read_secret(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string secret{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (!file) throw std::runtime_error(path + " cannot be read");
    if (secret.ends_with('\n')) secret.pop_back();
    if (secret.empty()) throw std::runtime_error(path + " is empty");
    return secret;
}

}  // namespace app
