// libpq's own parser, and a list that is put in order.
#include "hosts/hosts.hpp"

#include "hosts/libpq.hpp"
#include "text/encoding.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <stdexcept>
#include <string_view>

namespace app {
namespace {

using Settings = std::map<std::string, std::string, std::less<>>;
using Options = std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)>;

Settings settings_of(const Options& options) {
    Settings settings;
    for (const PQconninfoOption* option = options.get(); option != nullptr && option->keyword != nullptr; ++option) {
        if (option->val != nullptr) settings.emplace(option->keyword, option->val);
    }
    return settings;
}

Settings parse(const std::string& url) {
    if (url.empty()) return {};
    char* error = nullptr;
    const Options options(PQconninfoParse(url.c_str(), &error), &PQconninfoFree);
    const std::unique_ptr<char, decltype(&PQfreemem)> reason(error, &PQfreemem);
    if (!options) throw std::runtime_error("DATABASE_URL: " + std::string(error != nullptr ? error : "no memory"));
    Settings settings = settings_of(options);
    if (settings.contains("password"))
        throw std::runtime_error("DATABASE_URL: must not have a password; DATABASE_PASSWORD_FILE names a file with it");
    return settings;
}

std::vector<std::string> split(std::string_view list) {
    std::vector<std::string> parts;
    for (auto comma = list.find(','); comma != list.npos; comma = list.find(',')) {
        parts.emplace_back(list.substr(0, comma));
        list.remove_prefix(comma + 1);
    }
    parts.emplace_back(list);
    return parts;
}

void append(std::string& conninfo, std::string_view keyword, const std::string& value) {
    if (value.empty()) return;
    conninfo.append(keyword).append("='").append(escaped(value, "'\\", '\\')).append("' ");
}

// libpq would try all of them one after the other, always from the first.
std::vector<Host> hosts_of(const std::string& url) {
    const Settings given = parse(url);
    const Settings defaults = settings_of(Options(PQconndefaults(), &PQconninfoFree));
    const auto list_of = [&](std::string_view keyword) {
        const Settings& from = given.contains(keyword) ? given : defaults;
        const auto found = from.find(keyword);
        return split(found != from.end() ? found->second : std::string());
    };
    const auto names = list_of("host"), addresses = list_of("hostaddr"), ports = list_of("port");
    const std::size_t count = std::max(names.size(), addresses.size());
    const auto at = [&](const std::vector<std::string>& list, std::size_t i, bool one_for_all) {
        if (list.size() == count) return list[i];
        if (list.size() == 1 && (one_for_all || list[0].empty())) return list[0];
        throw std::runtime_error("DATABASE_URL: hosts, addresses and ports are not equally many");
    };
    std::string common;
    for (const auto& [keyword, value] : given) {
        if (keyword != "host" && keyword != "hostaddr" && keyword != "port") append(common, keyword, value);
    }
    std::vector<Host> hosts;
    for (std::size_t i = 0; i < count; ++i) {
        const std::string name = at(names, i, false), address = at(addresses, i, false), port = at(ports, i, true);
        Host host{.name = (name.empty() ? address : name) + ':' + port, .conninfo = common};
        append(host.conninfo, "host", name);
        append(host.conninfo, "hostaddr", address);
        append(host.conninfo, "port", port);
        hosts.push_back(std::move(host));
    }
    return hosts;
}

}  // namespace

Hosts::Hosts(const std::string& url) : hosts_(hosts_of(url)), are_several_(hosts_.size() > 1) {}

std::vector<Host> Hosts::in_order() const {
    const std::lock_guard lock(mutex_);
    return hosts_;
}

void Hosts::prefer(const std::string& name) {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find(hosts_, name, &Host::name);
    if (found != hosts_.end()) std::rotate(hosts_.begin(), found, found + 1);
}

void Hosts::settle(const Host& host) {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find(hosts_, host.name, &Host::name);
    if (found == hosts_.end()) return;
    std::erase_if(found->left_behind, [&](int backend) { return std::ranges::count(host.left_behind, backend) > 0; });
}

void Hosts::suspect(const std::string& name, int backend) {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find(hosts_, name, &Host::name);
    if (found == hosts_.end()) return;
    found->left_behind.push_back(backend);
    std::rotate(found, found + 1, hosts_.end());
}

}  // namespace app
