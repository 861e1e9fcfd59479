// Fuzzes the gate: bytes from a socket, which must get a verdict without a crash, and the same one each time.
#include "fastcgi/gate.hpp"

#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const app::Framing verdict = app::inspect(bytes);
    // Every beginning of a whole request may still become one.
    if (verdict == app::Framing::whole && app::inspect(bytes.substr(0, size - 1)) != app::Framing::incomplete)
        std::abort();
    if (app::inspect(bytes) != verdict) std::abort();
    return 0;
}
