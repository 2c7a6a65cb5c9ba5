// Every column type, as a real server writes it: what is decoded is put into a second table by its
// literals, and the server must find both tables equal.
#include "database/mariadb/binlog/rows.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "database/mariadb/binlog/column_value.h"
#include "database/mariadb/binlog/reader.h"
#include "database/testing/server_log.h"

namespace sevenfold::database::mariadb {
namespace {

struct TestColumn {
    std::string type;
    std::string (*make)(std::mt19937_64&);  // an SQL expression
    bool shown = true;                      // display() is what SELECT shows
};

template <class Random>
uint64_t up_to(Random& random, uint64_t most) {
    return std::uniform_int_distribution<uint64_t>(0, most)(random);
}
template <class Random, class List>
std::string pick(Random& random, const List& list) {
    return list[up_to(random, std::size(list) - 1)];
}
using Rng = std::mt19937_64;

template <int kBits>
std::string signed_integer(Rng& random) {
    int64_t lowest = -(int64_t{1} << (kBits - 1)), highest = -(lowest + 1);
    switch (up_to(random, 4)) {
        case 0:
            return fmt::format("{}", lowest);
        case 1:
            return fmt::format("{}", highest);
        case 2:
            return "-1";
        default:
            return fmt::format("{}",
                               std::uniform_int_distribution<int64_t>(lowest, highest)(random));
    }
}
template <int kBits>
std::string natural(Rng& random) {
    uint64_t highest = kBits == 64 ? UINT64_MAX : (uint64_t{1} << kBits) - 1;
    return fmt::format("{}", up_to(random, 2) == 0 ? highest : up_to(random, highest));
}
template <int kWhole, int kScale>
std::string decimal(Rng& random) {
    std::string out = up_to(random, 1) == 0 ? "-" : "";
    for (uint64_t i = up_to(random, kWhole); i > 0; --i)
        out += static_cast<char>('0' + up_to(random, 9));
    if (out.empty() || out == "-") out += "0";
    if (kScale > 0) out += ".";
    for (uint64_t i = kScale > 0 ? up_to(random, kScale) : 0; i > 0; --i)
        out += static_cast<char>('0' + up_to(random, 9));
    return out + (out.ends_with('.') ? "0" : "");
}
std::string real32(Rng& random) {
    return pick(random, std::array<std::string, 6>{"1.1", "-0.0", "3.4028e38", "1.2e-38",
                                                   "0.333333", "16777217"});
}
std::string real64(Rng& random) {
    return fmt::format("{:e}", static_cast<double>(static_cast<int64_t>(random())) / 1e9);
}
template <size_t kBytes>
std::string bytes(Rng& random) {
    std::string out = "X'";
    for (uint64_t i = up_to(random, kBytes); i > 0; --i)
        out += fmt::format("{:02x}", up_to(random, 3) == 0 ? 0 : up_to(random, 255));
    return out + "'";
}
std::string words(Rng& random) {
    return pick(random,
                std::array<std::string, 9>{"''", "'plain'", "'it''s'", "'back\\\\slash'", "'äöü'",
                                           "'ß€'", "'line\\nbreak'", "'\\0nul'", "'trailing  '"});
}
std::string wide_words(Rng& random) {
    return pick(random,
                std::array<std::string, 4>{"'漢字'", "'😀 smile'", "'Abc'", "REPEAT('ab😀',40)"});
}
std::string date(Rng& random) {
    if (up_to(random, 5) == 0)
        return pick(random,
                    std::array<std::string, 3>{"'0000-00-00'", "'2020-00-00'", "'9999-12-31'"});
    return fmt::format("'{:04}-{:02}-{:02}'", up_to(random, 9999), 1 + up_to(random, 11),
                       1 + up_to(random, 27));
}
std::string clock_of(Rng& random, uint64_t hours) {
    return fmt::format("{:02}:{:02}:{:02}.{:06}", up_to(random, hours), up_to(random, 59),
                       up_to(random, 59), up_to(random, 2) == 0 ? 0 : up_to(random, 999'999));
}
std::string time_of_day(Rng& random) {
    if (up_to(random, 6) == 0)
        return pick(random, std::array<std::string, 4>{"'-838:59:59'", "'838:59:59'",
                                                       "'-00:00:00.5'", "'-00:00:01'"});
    return "'" + std::string(up_to(random, 1) == 0 ? "-" : "") + clock_of(random, 837) + "'";
}
std::string datetime(Rng& random) {
    std::string day = date(random);
    day.pop_back();
    return day + " " + clock_of(random, 23) + "'";
}
std::string timestamp(Rng& random) {
    if (up_to(random, 6) == 0) return "'0000-00-00 00:00:00'";
    return fmt::format("'{:04}-{:02}-{:02} {}'", 1971 + up_to(random, 65), 1 + up_to(random, 11),
                       1 + up_to(random, 27), clock_of(random, 23));
}
std::string year(Rng& random) {
    return up_to(random, 3) == 0 ? "0" : fmt::format("{}", 1901 + up_to(random, 254));
}
std::string geometry(Rng& random) {
    return pick(random, std::array<std::string, 3>{
                            "POINT(1.5,-2)", "ST_GeomFromText('LINESTRING(0 0,1 1,2 0)', 4326)",
                            "ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))')"});
}
std::string json(Rng& random) {
    return pick(random, std::array<std::string, 2>{"'{\"a\": [1, \"ü\", null]}'", "'[]'"});
}
std::string enumeration(Rng& random) {
    return pick(random, std::array<std::string, 4>{"'one'", "'it''s'", "'drei,'", "'vîer'"});
}
std::string set_of(Rng& random) {
    return pick(random, std::array<std::string, 4>{"''", "'x'", "'x,y'", "'y,ü'"});
}
std::string uuid(Rng& random) {
    return fmt::format("'123e4567-e89b-12d3-a456-{:012x}'", random() & 0xffffffff0000);
}
std::string inet6(Rng& random) {
    return pick(random, std::array<std::string, 3>{"'::'", "'2001:db8::1'", "'::ffff:1.2.3.4'"});
}

const std::vector<TestColumn>& columns() {
    static const std::vector<TestColumn> all = {
        {"TINYINT", signed_integer<8>},
        {"TINYINT UNSIGNED", natural<8>},
        {"SMALLINT", signed_integer<16>},
        {"SMALLINT UNSIGNED", natural<16>},
        {"MEDIUMINT", signed_integer<24>},
        {"MEDIUMINT UNSIGNED", natural<24>},
        {"INT", signed_integer<32>},
        {"YEAR", year},
        {"INT UNSIGNED", natural<32>},
        {"BIGINT", signed_integer<64>},
        {"BIGINT UNSIGNED", natural<64>},
        {"FLOAT", real32, false},
        {"DOUBLE", real64, false},
        {"DECIMAL(65,30)", decimal<35, 30>},
        {"DECIMAL(5,0) UNSIGNED", decimal<0, 0>},
        {"DECIMAL(10,10)", decimal<0, 10>},
        {"DECIMAL(18,9)", decimal<9, 9>},
        {"BIT(1)", natural<1>, false},
        {"BIT(13)", natural<13>, false},
        {"BIT(64)", natural<64>, false},
        {"DATE", date},
        {"TIME", time_of_day},
        {"TIME(1)", time_of_day},
        {"TIME(2)", time_of_day},
        {"TIME(3)", time_of_day},
        {"TIME(4)", time_of_day},
        {"TIME(5)", time_of_day},
        {"TIME(6)", time_of_day},
        {"DATETIME", datetime},
        {"DATETIME(1)", datetime},
        {"DATETIME(2)", datetime},
        {"DATETIME(3)", datetime},
        {"DATETIME(4)", datetime},
        {"DATETIME(5)", datetime},
        {"DATETIME(6)", datetime},
        {"TIMESTAMP NULL", timestamp},
        {"TIMESTAMP(1) NULL", timestamp},
        {"TIMESTAMP(2) NULL", timestamp},
        {"TIMESTAMP(3) NULL", timestamp},
        {"TIMESTAMP(5) NULL", timestamp},
        {"TIMESTAMP(6) NULL", timestamp},
        {"CHAR(20)", words, false},
        {"CHAR(200)", wide_words, false},
        {"VARCHAR(20) CHARACTER SET latin1", words, false},
        {"VARCHAR(200) CHARACTER SET utf16", wide_words, false},
        {"VARCHAR(300)", wide_words, false},
        {"CHAR(30) CHARACTER SET utf32 COLLATE utf32_uca1400_ai_ci", wide_words, false},
        {"BINARY(5)", bytes<5>, false},
        {"BINARY(255)", bytes<255>, false},
        {"VARBINARY(20)", bytes<20>, false},
        {"VARBINARY(400)", bytes<400>, false},
        {"TINYBLOB", bytes<250>, false},
        {"BLOB", bytes<1000>, false},
        {"MEDIUMTEXT", words, false},
        {"LONGTEXT CHARACTER SET cp1250", words, false},
        {"JSON", json, false},
        {"ENUM('one','it''s','drei,','vîer')", enumeration},
        {"SET('x','y','ü')", set_of, false},
        {"GEOMETRY", geometry, false},
        {"VARCHAR(20) CHARACTER SET latin1 COMPRESSED", words, false},
        {"VARCHAR(300) COMPRESSED", wide_words, false},
        {"BLOB COMPRESSED", bytes<1000>, false},
        {"LONGTEXT COMPRESSED", wide_words, false},
        {"UUID", uuid, false},
        {"INET6", inet6, false},
    };
    return all;
}

std::string create_table(const std::string& name) {
    std::string sql = "CREATE TABLE " + name + " (id INT PRIMARY KEY";
    for (size_t i = 0; i < columns().size(); ++i)
        sql += fmt::format(", c{} {}", i, columns()[i].type);
    return sql + ")";
}

// All row changes of a table, and its last description.
struct Found {
    TableMap map;
    std::vector<RowChange> rows;
};
Found read_changes(const LogArchive& archive, const std::string& table) {
    Found found;
    TransactionReader reader(archive);
    Transaction transaction;
    while (reader.next(transaction))
        visit_events(archive, transaction, [&](const Event& event, const Format& format, uint64_t) {
            if (event.header.type == EventType::table_map) {
                TableMap map = decode_table_map(event, format);
                if (map.table == table) found.map = map;
            } else if (is_rows(event.header.type) &&
                       decode_rows_head(event).table_id == found.map.id) {
                RowsEvent rows = decode_rows(event, format);
                RowReader each(rows, found.map);
                RowChange change;
                while (each.next(change)) found.rows.push_back(change);
            }
            return true;
        });
    return found;
}

// The tables `a` and, made from the literals of the log, `b` are equal.
void expect_equal_copy(sql::MariadbConnection& server, const std::vector<RowChange>& rows) {
    for (const RowChange& row : rows) {
        std::string values;
        for (const auto& value : row.after)
            values += (values.empty() ? "" : ", ") + sql_literal(value.value());
        server.execute("INSERT INTO b VALUES (" + values + ")");
    }
    for (size_t i = 0; i < columns().size(); ++i) {
        std::string both = fmt::format(
            "SELECT GROUP_CONCAT(CONCAT(a.id, ': ', HEX(a.c{0}), ' ', HEX(b.c{0})) SEPARATOR '; ') "
            "FROM a JOIN b "
            "USING (id) WHERE NOT BINARY a.c{0} <=> BINARY b.c{0} OR NOT a.c{0} <=> b.c{0}",
            i);
        EXPECT_EQ(server.value(both), std::nullopt) << columns()[i].type;
    }
    EXPECT_EQ(server.value("SELECT COUNT(*) FROM b"), server.value("SELECT COUNT(*) FROM a"));
}

void expect_shown(sql::MariadbConnection& server, const std::vector<RowChange>& rows) {
    auto selected = server.query("SELECT * FROM a ORDER BY id");
    ASSERT_EQ(selected.size(), rows.size());
    for (size_t r = 0; r < rows.size(); ++r)
        for (size_t c = 0; c < columns().size(); ++c) {
            if (!columns()[c].shown) continue;
            EXPECT_EQ(display(*rows[r].after[c + 1]), selected[r][c + 1].value_or("NULL"))
                << columns()[c].type;
        }
}

void fill(sql::MariadbConnection& server, Rng& random, int rows) {
    server.execute("SET SESSION sql_mode='', time_zone='+00:00'");
    for (int r = 0; r < rows; ++r) {
        std::string sql = fmt::format("INSERT INTO a VALUES ({}", r);
        for (const TestColumn& column : columns())
            sql += ", " + (up_to(random, 7) == 0 ? "NULL" : column.make(random));
        server.execute(sql + ")");
    }
}

void compare_with_server(std::vector<std::string> arguments) {
    TestServer server({.arguments = std::move(arguments)});
    storage::TestFolder folder;
    server.run("CREATE DATABASE t");
    auto connection = server.connect("t");
    uint64_t seed = std::random_device()();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Rng random(seed);
    connection->execute(create_table("a"));
    fill(*connection, random, 60);
    Found found = read_changes(*archive_log(server, folder.path()), "a");
    ASSERT_EQ(found.rows.size(), 60u);
    EXPECT_EQ(found.map.columns[1].name, "c0");
    EXPECT_EQ(found.map.primary_key, std::vector<size_t>{0});
    for (size_t i = 0; i < found.map.columns.size(); ++i) {  // BINARY, UUID, INET6 are padded
        const Column& column = found.map.columns[i];
        if (column.type != ColumnType::string || column.collation != kBinaryCollation) continue;
        for (const RowChange& row : found.rows) {
            if (!row.after[i]->null()) {
                EXPECT_EQ(row.after[i]->bytes.size(), column.length);
            }
        }
    }
    connection->execute(create_table("b"));
    expect_equal_copy(*connection, found.rows);
    expect_shown(*connection, found.rows);
}

TEST(Rows, EveryTypeIsDecodedAsTheServerMeansIt) { compare_with_server({}); }
TEST(Rows, CompressedEventsToo) {
    compare_with_server({"--log-bin-compress=1", "--log-bin-compress-min-len=10"});
}
TEST(Rows, LogsWithoutChecksums) { compare_with_server({"--binlog-checksum=NONE"}); }

void partial_images(std::vector<std::string> arguments) {
    arguments.emplace_back("--binlog-row-image=MINIMAL");
    TestServer server({.arguments = std::move(arguments)});
    storage::TestFolder folder;
    server.run("CREATE DATABASE t");
    auto connection = server.connect("t");
    connection->execute("CREATE TABLE a (id INT PRIMARY KEY, x INT, y VARCHAR(10))");
    connection->execute("INSERT INTO a VALUES (1, 2, 'y')");
    connection->execute("UPDATE a SET x = NULL");
    connection->execute("DELETE FROM a");
    Found found = read_changes(*archive_log(server, folder.path()), "a");
    ASSERT_EQ(found.rows.size(), 3u);
    EXPECT_EQ(found.rows[1].kind, ChangeKind::updated);
    EXPECT_EQ(found.rows[1].before[0]->integer(), 1);
    EXPECT_FALSE(found.rows[1].before[1]);
    EXPECT_FALSE(found.rows[1].after[0]);
    ASSERT_TRUE(found.rows[1].after[1]);
    EXPECT_TRUE(found.rows[1].after[1]->null());
    EXPECT_EQ(found.rows[2].kind, ChangeKind::deleted);
    EXPECT_FALSE(found.rows[2].before[2]);
    connection->execute("INSERT INTO a SELECT seq, seq, REPEAT('z', 10) FROM seq_1_to_5000");
    connection->execute("UPDATE a SET y = x");
    found = read_changes(*archive_log(server, folder.path()), "a");
    ASSERT_EQ(found.rows.size(), 10'003u);  // of several events
    EXPECT_EQ(display(*found.rows.back().after[2]), "5000");
}

TEST(Rows, PartialImagesLeaveColumnsOut) { partial_images({}); }
TEST(Rows, PartialImagesOfCompressedEvents) {
    partial_images({"--log-bin-compress=1", "--log-bin-compress-min-len=10"});
}

TEST(Rows, TheOlderTemporalFormats) {
    TestServer server({.arguments = {"--mysql56-temporal-format=OFF"}});
    storage::TestFolder folder;
    server.run("CREATE DATABASE t");
    auto connection = server.connect("t");
    connection->execute(
        "CREATE TABLE a (t0 TIME, d0 DATETIME, s0 TIMESTAMP NULL, t5 TIME(5), t2 TIME(2), d4 "
        "DATETIME(4), d6 "
        "DATETIME(6), s3 TIMESTAMP(3) NULL)");
    connection->execute(
        "INSERT INTO a VALUES ('-01:02:03', '2026-01-02 03:04:05', '2026-01-02 03:04:05', "
        "'-12:34:56.78901', "
        "'838:59:59.99', '2026-01-02 03:04:05.6789', '9999-12-31 23:59:59.999999', '2026-01-02 "
        "03:04:05.678')");
    auto archive = archive_log(server, folder.path());
    TransactionReader reader(*archive, {.count_rows = false});
    Transaction transaction;
    RowChange row;
    while (reader.next(transaction)) {
        TableMap map;
        visit_events(*archive, transaction,
                     [&](const Event& event, const Format& format, uint64_t) {
                         if (event.header.type == EventType::table_map)
                             map = decode_table_map(event, format);
                         if (!is_rows(event.header.type)) return true;
                         const uint8_t decimals[] = {0, 0, 0, 5, 2, 4, 6, 3};
                         for (size_t i = 0; i < 8; ++i) map.columns[i].scale = decimals[i];
                         RowsEvent rows = decode_rows(event, format);
                         EXPECT_TRUE(RowReader(rows, map).next(row));
                         return true;
                     });
    }
    auto selected = connection->query("SELECT * FROM a").at(0);
    ASSERT_EQ(row.after.size(), 8u);
    for (size_t i = 0; i < 8; ++i) EXPECT_EQ(display(*row.after[i]), selected[i].value());
}

TEST(Values, LiteralsKeepBytesAndCharacterSet) {
    using Kind = Value::Kind;
    EXPECT_EQ(sql_literal({.kind = Kind::text, .bytes = "it's", .collation = 45}), "'it''s'");
    EXPECT_EQ(sql_literal({.kind = Kind::text, .bytes = "\xe4", .collation = 8}), "_latin1 X'e4'");
    EXPECT_EQ(sql_literal({.kind = Kind::text, .bytes = "a\\", .collation = 45}),
              "_utf8mb4 X'615c'");
    EXPECT_EQ(sql_literal({.kind = Kind::binary, .bytes = "a"}), "X'61'");
    EXPECT_EQ(sql_literal({.kind = Kind::real64, .real = 3}), "3e0");
    EXPECT_EQ(display({.kind = Kind::text, .bytes = "M\xfcller", .collation = 8}), "Müller");
    EXPECT_EQ(display({.kind = Kind::text, .bytes = "", .collation = 8}), "''");
    EXPECT_EQ(character_set(2048 + 256), "utf8mb4");
    EXPECT_EQ(character_set(1070), "utf8mb4");
    EXPECT_EQ(character_set(17), "");
}

}  // namespace
}  // namespace sevenfold::database::mariadb
