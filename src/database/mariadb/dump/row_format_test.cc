#include "database/mariadb/dump/row_format.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace sevenfold::database::mariadb {
namespace {

// One byte at a time, as the format is described.
std::string plain_row(const std::vector<std::optional<std::string>>& fields) {
    std::string out;
    for (size_t i = 0; i < fields.size(); ++i) {
        if (i != 0) out += '\t';
        if (!fields[i]) {
            out += "\\N";
            continue;
        }
        for (char c : *fields[i]) switch (c) {
                case '\t':
                    out += "\\t";
                    break;
                case '\n':
                    out += "\\n";
                    break;
                case '\r':
                    out += "\\r";
                    break;
                case '\\':
                    out += "\\\\";
                    break;
                case '\0':
                    out += "\\0";
                    break;
                default:
                    out += c;
            }
    }
    return out + '\n';
}

std::string written_row(const std::vector<std::optional<std::string>>& fields) {
    std::vector<const char*> pointers;
    std::vector<unsigned long> lengths;
    for (const auto& field : fields) {
        pointers.push_back(field ? field->data() : nullptr);
        lengths.push_back(field ? field->size() : 0);
    }
    Bytes out = to_bytes("before");
    append_tsv_row(out, {pointers.data(), lengths.data(), fields.size()});
    return std::string(as_text(out)).substr(6);
}

TEST(RowFormatTest, RowsAreAsThoseWrittenByteByByte) {
    EXPECT_EQ(written_row({"", std::nullopt, std::string("a\tb\nc\rd\\e\0f", 11)}),
              "\t\\N\ta\\tb\\nc\\rd\\\\e\\0f\n");
    rc::check([] {
        auto letter = rc::gen::weightedOneOf<char>(
            {{3, rc::gen::arbitrary<char>()},
             {1, rc::gen::element('\t', '\n', '\r', '\\', '\0', 'N', '\x80')}});
        auto fields =
            *rc::gen::container<std::vector<std::string>>(rc::gen::container<std::string>(letter));
        std::vector<std::optional<std::string>> row;
        for (std::string& field : fields) {
            std::string longer = field + field + std::string(field.size() % 40, 'x') + field;
            if (field.size() % 7 == 3)
                row.emplace_back();
            else
                row.emplace_back(std::move(longer));
        }
        RC_ASSERT(written_row(row) == plain_row(row));
    });
}

TEST(RowFormatTest, InsertsHoldNoLineBreakAndNoQuoteInATextOfOthers) {
    std::vector<const char*> fields = {"1", "it's", "\xe4", "ok", nullptr, "\n"};
    std::vector<unsigned long> lengths = {1, 4, 1, 2, 0, 1};
    std::vector<RowColumn> columns = {
        {"a", ColumnKind::number, ""},     {"b", ColumnKind::text, "utf8mb4"},
        {"c", ColumnKind::text, "latin1"}, {"d", ColumnKind::text, "utf16"},
        {"e", ColumnKind::binary, ""},     {"f", ColumnKind::binary, ""}};
    Bytes out;
    append_sql_row(out, {fields.data(), lengths.data(), fields.size()}, columns);
    EXPECT_EQ(as_text(out), "(1,_utf8mb4 X'69742773',_latin1 X'e4',_utf16 X'6f6b',NULL,X'0a')");
}

}  // namespace
}  // namespace sevenfold::database::mariadb
