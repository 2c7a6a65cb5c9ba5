#include "cli/json.h"

#include <cmath>

#include "cli/utf8.h"

namespace sevenfold::cli {

void append_json_text(std::string& out, std::string_view text) {
    out += '"';
    while (!text.empty()) {
        const unsigned char c = static_cast<unsigned char>(text[0]);
        if (c >= 0x80) {
            Utf8Step step = decode_utf8(text);
            // Many programs take the line separators U+2028 and U+2029 for the end of the line.
            if (text.starts_with("\xE2\x80\xA8"))
                out += "\\u2028";
            else if (text.starts_with("\xE2\x80\xA9"))
                out += "\\u2029";
            else if (step.valid)
                out += text.substr(0, step.length);
            else
                out += "\xEF\xBF\xBD";
            text.remove_prefix(step.length);
            continue;
        }
        switch (c) {
            case '"':
                out += "\\\"";
                break;
            case '\\':
                out += "\\\\";
                break;
            case '\n':
                out += "\\n";
                break;
            case '\r':
                out += "\\r";
                break;
            case '\t':
                out += "\\t";
                break;
            default:
                if (c < 0x20 || c == 0x7f)
                    fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
                else
                    out += static_cast<char>(c);
        }
        text.remove_prefix(1);
    }
    out += '"';
}

void append_json_number(std::string& out, double value) {
    if (!std::isfinite(value)) {
        out += "null";
        return;
    }
    fmt::format_to(std::back_inserter(out), "{}", value);
}

}  // namespace sevenfold::cli
