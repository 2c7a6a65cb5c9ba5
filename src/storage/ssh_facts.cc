#include "storage/ssh_facts.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>

#include "core/error.h"
#include "os/child_process.h"

namespace sevenfold::storage {
namespace {

std::string expanded(const std::string& path) {
    const char* home = std::getenv("HOME");
    if (!path.starts_with("~/") || home == nullptr) return path;
    return home + path.substr(1);
}

}  // namespace

std::map<std::string, std::vector<std::string>> parse_ssh_settings(std::string_view text) {
    std::map<std::string, std::vector<std::string>> out;
    while (!text.empty()) {
        size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        size_t blank = line.find(' ');
        if (blank != line.npos)
            out[std::string(line.substr(0, blank))].emplace_back(line.substr(blank + 1));
    }
    return out;
}

std::optional<Time> parse_certificate_end(std::string_view text) {
    constexpr std::string_view kLabel = "Valid: ";
    Error bad(ErrorKind::unsupported, "ssh-keygen tells no validity of the certificate");
    size_t at = text.find(kLabel);
    if (at == text.npos) throw bad;
    std::string line(text.substr(at + kLabel.size()));
    line.resize(std::min(line.find('\n'), line.size()));
    size_t to = line.find(" to ");
    // "forever", "after 2026-…", "before 2027-…", "from 2026-… to 2027-…"
    if (line == "forever" || line.starts_with("after ")) return std::nullopt;
    std::string end = line.starts_with("before ") ? line.substr(7)
                      : to != line.npos           ? line.substr(to + 4)
                                                  : "";
    if (end == "forever") return std::nullopt;
    std::tm parts{};
    if (::strptime(end.c_str(), "%Y-%m-%dT%H:%M:%S", &parts) == nullptr) throw bad;
    parts.tm_isdst = -1;
    return Time{.seconds = static_cast<int64_t>(::mktime(&parts))};
}

SshFacts ssh_facts(const net::SshTarget& target, const std::vector<std::string>& extra,
                   std::chrono::nanoseconds patience) {
    std::vector<std::string> argv = net::ssh_program_command(target, "true", extra, false);
    argv.insert(argv.begin() + 1, "-G");
    auto done = os::run_command({.argv = argv}, {}, patience, 1 << 20);
    if (!done.status.ok())
        throw Error(ErrorKind::config, "ssh -G: " + net::last_lines(done.errors, 2));
    auto settings = parse_ssh_settings(as_text(done.output));
    SshFacts facts;
    for (const std::string& value : settings["stricthostkeychecking"])
        facts.checks_host_key = value != "false" && value != "no" && value != "off";
    std::vector<std::string> certificates = settings["certificatefile"];
    for (const std::string& value : settings["identityfile"]) {
        std::string path = expanded(value);
        struct stat st {};
        if (::stat(path.c_str(), &st) != 0) continue;
        facts.keys.push_back({path, (st.st_mode & 077) != 0 && st.st_uid == ::geteuid()});
        certificates.push_back(path + "-cert.pub");
    }
    for (const std::string& value : certificates) {
        std::string path = expanded(value);
        struct stat st {};
        if (::stat(path.c_str(), &st) != 0) continue;
        auto shown =
            os::run_command({.argv = {"ssh-keygen", "-L", "-f", path}}, {}, patience, 1 << 20);
        if (shown.status.ok())
            facts.certificates.push_back({path, parse_certificate_end(as_text(shown.output))});
    }
    return facts;
}

}  // namespace sevenfold::storage
