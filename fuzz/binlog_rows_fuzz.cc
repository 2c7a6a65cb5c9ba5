// A table's description and a row event, each any bytes: rows are read or throw Error, and every
// value can be written in all ways.
#include "core/check.h"
#include "core/error.h"
#include "database/mariadb/binlog/encode.h"
#include "database/mariadb/binlog/rows.h"

// Input: the type of the row event, the size of the description (2 bytes), the description's body,
// the row event's body.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace sevenfold;
    using namespace sevenfold::database::mariadb;
    if (size < 3) return 0;
    size_t map_size = data[1] | data[2] << 8;
    if (map_size > size - 3) return 0;
    ByteView bytes(data + 3, size - 3);
    try {
        Format format;
        Event map_event{.header = {.type = EventType::table_map}, .body = bytes.first(map_size)};
        Event rows_event{.header = {.type = static_cast<EventType>(data[0])},
                         .body = bytes.subspan(map_size)};
        if (!is_rows(rows_event.header.type)) return 0;
        TableMap map = decode_table_map(map_event, format);
        RowsEvent rows = decode_rows(rows_event, format);
        uint64_t counted = 0, read = 0;
        try {
            counted = count_rows(rows, map);
        } catch (const Error&) {
            counted = UINT64_MAX;
        }
        RowReader reader(rows, map);
        for (RowChange row; reader.next(row); ++read)
            for (const RowImage* image : {&row.before, &row.after})
                for (const auto& value : *image) {
                    if (!value) continue;
                    CHECK(!sql_literal(*value).empty());
                    CHECK(!display(*value).empty());
                    binary_literal(*value);
                }
        CHECK(counted == read);
    } catch (const Error&) {
    }
    return 0;
}
