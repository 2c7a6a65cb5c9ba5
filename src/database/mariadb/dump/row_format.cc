#include "database/mariadb/dump/row_format.h"

#include <array>

#include "crypto/sha256.h"

namespace sevenfold::database::mariadb {
namespace {

// The letter that follows the backslash; 0: the byte stands for itself.
constexpr std::array<char, 256> escapes() {
    std::array<char, 256> table{};
    table['\t'] = 't';
    table['\n'] = 'n';
    table['\r'] = 'r';
    table['\\'] = '\\';
    table[0] = '0';
    return table;
}
constexpr auto kEscapes = escapes();

void append_escaped(Bytes& out, std::string_view text) {
    size_t start = 0;
    for (size_t i = 0; i < text.size(); ++i) {
        char letter = kEscapes[static_cast<uint8_t>(text[i])];
        if (letter == 0) continue;
        append(out, as_bytes(text.substr(start, i - start)));
        out.push_back('\\');
        out.push_back(static_cast<uint8_t>(letter));
        start = i + 1;
    }
    append(out, as_bytes(text.substr(start)));
}

bool is_plain_ascii(std::string_view text) {
    for (char c : text)
        if (static_cast<uint8_t>(c) < 0x20 || static_cast<uint8_t>(c) > 0x7e || c == '\'' ||
            c == '\\')
            return false;
    return true;
}

bool is_ascii_compatible(const std::string& charset) {
    return charset != "utf16" && charset != "utf16le" && charset != "ucs2" && charset != "utf32";
}

}  // namespace

void append_tsv_row(Bytes& out, const sql::RowView& row) {
    for (size_t i = 0; i < row.count; ++i) {
        if (i != 0) out.push_back('\t');
        if (row.is_null(i))
            append(out, as_bytes("\\N"));
        else
            append_escaped(out, row.text(i));
    }
    out.push_back('\n');
}

void append_sql_row(Bytes& out, const sql::RowView& row, const std::vector<RowColumn>& columns) {
    out.push_back('(');
    for (size_t i = 0; i < row.count; ++i) {
        if (i != 0) out.push_back(',');
        std::string_view text = row.text(i);
        if (row.is_null(i)) {
            append(out, as_bytes("NULL"));
        } else if (columns[i].kind == ColumnKind::number) {
            append(out, as_bytes(text));
        } else if (text.empty() || (columns[i].kind == ColumnKind::text && is_plain_ascii(text) &&
                                    is_ascii_compatible(columns[i].charset))) {
            out.push_back('\'');
            append(out, as_bytes(text));
            out.push_back('\'');
        } else {
            if (columns[i].kind == ColumnKind::text)
                append(out, as_bytes("_" + columns[i].charset + " "));
            append(out, as_bytes("X'" + to_hex(as_bytes(text)) + "'"));
        }
    }
    out.push_back(')');
}

uint64_t row_hash(ByteView tsv_row) { return get_le64(crypto::sha256(tsv_row).bytes.data()); }

}  // namespace sevenfold::database::mariadb
