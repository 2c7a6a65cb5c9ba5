// Exclude patterns against paths: the first line of the input is the path, the others are patterns.
// Each list is refused with Error{usage} or matches the path the same way every time, and a path
// below one that is matched is matched too.
#include <string>
#include <string_view>
#include <vector>

#include "core/check.h"
#include "core/error.h"
#include "files/pattern.h"

using namespace sevenfold;

// What PatternList asks of a path: no empty, "." or ".." component.
static std::string clean(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        size_t slash = std::min(text.find('/'), text.size());
        std::string_view part = text.substr(0, slash);
        if (!part.empty() && part != "." && part != "..") (out += '/') += part;
        text.remove_prefix(std::min(slash + 1, text.size()));
    }
    return out;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    std::vector<std::string> lines;
    while (!rest.empty()) {
        size_t end = std::min(rest.find('\n'), rest.size());
        lines.emplace_back(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    if (lines.size() < 2) return 0;
    std::string path = clean(lines[0]);
    lines.erase(lines.begin());
    if (path.empty()) return 0;
    for (files::Case letters : {files::Case::sensitive, files::Case::insensitive}) {
        try {
            files::PatternList list(lines, letters);
            bool matched = list.matches(path);
            CHECK(list.match(path).matched == matched);
            bool only_positive = true;
            for (const std::string& line : lines) only_positive &= !line.starts_with('!');
            if (matched && only_positive) CHECK(list.matches(path + "/below"));
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::usage);
        }
    }
    return 0;
}
