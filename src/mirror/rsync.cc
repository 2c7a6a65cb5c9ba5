#include "mirror/rsync.h"

#include <fmt/format.h>
#include <signal.h>

#include <charconv>

#include "core/error.h"

namespace sevenfold::mirror {
namespace {

constexpr size_t kLongestLine = 1 << 20;  // a path of 4096 bytes, each of them escaped, is 20 KiB

// rsync writes bytes that do not print, and a backslash that would look like this, as \#ooo.
std::string unescaped(std::string_view text) {
    std::string out;
    auto digit = [&](size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '7'; };
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 4 < text.size() && text[i + 1] == '#' && digit(i + 2) &&
            digit(i + 3) && digit(i + 4)) {
            int byte = (text[i + 2] - '0') * 64 + (text[i + 3] - '0') * 8 + (text[i + 4] - '0');
            out += static_cast<char>(byte & 0xff);
            i += 4;
        } else {
            out += text[i];
        }
    }
    return out;
}

Item::Kind kind_of(std::string_view flags) {
    std::string_view rest = flags.substr(2);
    if (rest.find('+') != rest.npos) return Item::Kind::add;
    if (rest.find_first_not_of(". ") == rest.npos && flags[0] != 'c' && flags[0] != '<' &&
        flags[0] != '>')
        return Item::Kind::same;
    return flags[0] == '.' ? Item::Kind::attributes : Item::Kind::change;
}

}  // namespace

std::optional<Item> parse_item(std::string_view line) {
    constexpr std::string_view kStart = "item:";
    if (!line.starts_with(kStart)) return std::nullopt;
    line.remove_prefix(kStart.size());
    size_t colon = line.find(':');
    if (colon == line.npos || colon < 11) return std::nullopt;
    std::string_view flags = line.substr(0, colon);
    line.remove_prefix(colon + 1);
    Item item;
    auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), item.bytes);
    auto digits = static_cast<size_t>(end - line.data());
    if (error != std::errc() || digits >= line.size() || line[digits] != ':') return std::nullopt;
    line.remove_prefix(digits + 1);
    if (line.empty()) return std::nullopt;
    bool removal = flags.starts_with("*deleting");
    if (!removal && flags[0] == '*') return std::nullopt;
    item.folder = line.ends_with('/');
    if (item.folder) line.remove_suffix(1);
    item.kind = removal ? Item::Kind::remove : kind_of(flags);
    item.regular = !removal && flags[1] == 'f';
    item.path = unescaped(line);
    return item;
}

std::string remote_shell(const std::vector<std::string>& words) {
    std::string out;
    for (const std::string& word : words) {
        if (!out.empty()) out += ' ';
        out += '\'';
        for (char c : word) out += c == '\'' ? std::string("''") : std::string(1, c);
        out += '\'';
    }
    return out;
}

RsyncEnd run_rsync(const std::vector<std::string>& arguments,
                   const std::function<void(std::string_view)>& on_line, std::stop_token stop) {
    os::ChildOptions options;
    options.argv = {"rsync"};
    options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
    options.output = os::ChildOptions::Stream::pipe;
    options.environment = {{"LC_ALL", "C"}, {"RSYNC_OLD_ARGS", "0"}, {"RSYNC_PROTECT_ARGS", "1"}};
    options.own_group = true;
    options.die_with_parent = true;
    std::optional<os::ChildProcess> child;
    try {
        child.emplace(options);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::not_found) throw;
        throw Error(ErrorKind::unsupported, "rsync is not installed on this machine",
                    "Install it: apt-get install rsync.");
    }
    RsyncEnd end;
    {
        std::stop_callback ask(stop, [&] { child->kill(SIGTERM); });
        std::string pending;
        uint8_t buffer[65536];
        while (size_t got = os::read_some(child->output_fd(), buffer, "rsync")) {
            pending.append(reinterpret_cast<const char*>(buffer), got);
            size_t begin = 0;
            for (size_t newline; (newline = pending.find('\n', begin)) != pending.npos;
                 begin = newline + 1)
                on_line(std::string_view(pending).substr(begin, newline - begin));
            pending.erase(0, begin);
            if (pending.size() > kLongestLine)
                throw Error(ErrorKind::corrupt, "rsync: a line of its output has no end");
        }
        end.status = child->wait();
    }
    end.errors = child->error_tail();
    if (stop.stop_requested()) throw Error(ErrorKind::interrupted, "interrupted");
    return end;
}

}  // namespace sevenfold::mirror
