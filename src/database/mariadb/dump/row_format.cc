#include "database/mariadb/dump/row_format.h"

#include <emmintrin.h>

#include <array>
#include <bit>

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

// Writes `text` escaped to `to`, which has room for twice its length and 16 bytes more; the end.
uint8_t* write_escaped(uint8_t* to, const char* text, size_t size) {
    const __m128i tab = _mm_set1_epi8('\t'), newline = _mm_set1_epi8('\n'),
                  ret = _mm_set1_epi8('\r'), backslash = _mm_set1_epi8('\\'),
                  zero = _mm_setzero_si128();
    size_t i = 0;
    while (i + 16 <= size) {
        __m128i part = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text + i));
        __m128i found = _mm_or_si128(
            _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(part, tab), _mm_cmpeq_epi8(part, newline)),
                         _mm_or_si128(_mm_cmpeq_epi8(part, ret), _mm_cmpeq_epi8(part, backslash))),
            _mm_cmpeq_epi8(part, zero));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), part);
        auto mask = static_cast<unsigned>(_mm_movemask_epi8(found));
        unsigned plain = mask == 0 ? 16 : static_cast<unsigned>(std::countr_zero(mask));
        to += plain;
        i += plain;
        if (mask == 0) continue;
        *to++ = '\\';
        *to++ = static_cast<uint8_t>(kEscapes[static_cast<uint8_t>(text[i++])]);
    }
    for (; i < size; ++i) {
        auto byte = static_cast<uint8_t>(text[i]);
        if (char letter = kEscapes[byte]; letter != 0) {
            *to++ = '\\';
            byte = static_cast<uint8_t>(letter);
        }
        *to++ = byte;
    }
    return to;
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
    size_t most = 16;
    for (size_t i = 0; i < row.count; ++i) most += 3 + (row.is_null(i) ? 0 : 2 * row.lengths[i]);
    const size_t start = out.size();
    out.resize(start + most);  // does not initialise
    uint8_t* to = out.data() + start;
    for (size_t i = 0; i < row.count; ++i) {
        if (i != 0) *to++ = '\t';
        if (row.is_null(i)) {
            *to++ = '\\';
            *to++ = 'N';
        } else {
            to = write_escaped(to, row.fields[i], row.lengths[i]);
        }
    }
    *to++ = '\n';
    out.resize(static_cast<size_t>(to - out.data()));
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

void RowChecksum::add(ByteView tsv_row) {
    if (waiting_.empty()) {
        waiting_ = tsv_row;
        return;
    }
    for (const Id& id : crypto::sha256_pair(waiting_, tsv_row)) sum_ += get_le64(id.bytes.data());
    waiting_ = {};
}

uint64_t RowChecksum::sum() {
    if (!waiting_.empty()) sum_ += row_hash(waiting_);
    waiting_ = {};
    return sum_;
}

}  // namespace sevenfold::database::mariadb
