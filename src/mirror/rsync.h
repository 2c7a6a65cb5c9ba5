// Running rsync, and understanding its lines.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "os/child_process.h"

namespace sevenfold::mirror {

// --out-format of lines that parse_item() understands.
inline constexpr std::string_view kItemFormat = "item:%i:%l:%n";

// One line about an entry.
struct Item {
    enum class Kind { same, add, change, attributes, remove } kind = Kind::same;
    bool folder = false;
    bool regular = false;
    uint64_t bytes = 0;
    std::string path;  // as it is, not escaped; folders without their slash
};
// Nothing for a line that is about something else.
std::optional<Item> parse_item(std::string_view line);

// rsync's value for -e: the words of an ssh command line without the host, quoted as rsync reads
// them.
std::string remote_shell(const std::vector<std::string>& words);

struct RsyncEnd {
    os::ExitStatus status;
    std::string errors;  // the end of stderr
};
// Runs rsync (nothing is looked up by a shell) and hands out its lines. Killed with this process,
// and ended by `stop` with Error{interrupted}. Throws unsupported when it is not installed.
RsyncEnd run_rsync(const std::vector<std::string>& arguments,
                   const std::function<void(std::string_view)>& on_line, std::stop_token stop);

}  // namespace sevenfold::mirror
