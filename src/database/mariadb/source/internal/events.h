// As much of MariaDB's binlog format as serving it needs: GTIDs, event headers, checksums, and
// where a transaction begins and ends. Layouts: MariaDB Knowledge Base, "Replication Protocol".
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/bytes.h"
#include "core/error.h"

namespace sevenfold::database::source {

struct Gtid {
    uint32_t domain = 0;
    uint32_t server = 0;
    uint64_t sequence = 0;
    auto operator<=>(const Gtid&) const = default;
    std::string display() const;  // "0-1-100"
    // Throws Error{usage}.
    static Gtid parse(std::string_view text);
};

// The last transaction of each domain.
class GtidState {
  public:
    GtidState() = default;
    // "0-1-100,5-2-3"; empty is the beginning. Throws Error{usage}.
    static GtidState parse(std::string_view text);
    std::string display() const;
    void set(const Gtid& gtid) { last_[gtid.domain] = gtid; }
    const Gtid* find(uint32_t domain) const {
        auto it = last_.find(domain);
        return it == last_.end() ? nullptr : &it->second;
    }
    const std::map<uint32_t, Gtid>& all() const { return last_; }
    bool empty() const { return last_.empty(); }
    bool operator==(const GtidState&) const = default;

  private:
    std::map<uint32_t, Gtid> last_;
};

enum EventType : uint8_t {
    kQueryEvent = 2,
    kStopEvent = 3,
    kRotateEvent = 4,
    kFormatDescriptionEvent = 15,
    kXidEvent = 16,
    kIncidentEvent = 26,
    kHeartbeatEvent = 27,
    kXaPrepareEvent = 38,
    kAnnotateRowsEvent = 160,
    kBinlogCheckpointEvent = 161,
    kGtidEvent = 162,
    kGtidListEvent = 163,
    kStartEncryptionEvent = 164,
    kQueryCompressedEvent = 165,
};

inline constexpr size_t kEventHeaderSize = 19;
inline constexpr size_t kChecksumSize = 4;
inline constexpr uint16_t kInUseFlag = 0x1;        // the file was open when it was copied
inline constexpr uint16_t kArtificialFlag = 0x20;  // stands in no binlog

struct EventHeader {
    uint32_t timestamp = 0;
    uint8_t type = 0;
    uint32_t server_id = 0;
    uint32_t size = 0;     // of the whole event
    uint32_t end_pos = 0;  // where the next event begins, modulo 2^32
    uint16_t flags = 0;
};
// `bytes` has at least kEventHeaderSize bytes; nothing is checked.
EventHeader parse_header(ByteView bytes);
void put_header(uint8_t* to, const EventHeader& header);

struct Event {
    EventHeader header;
    ByteView bytes;       // all of it
    ByteView body;        // without header and checksum
    uint64_t offset = 0;  // in its file
    bool checksum = false;
};

struct FormatDescription {
    std::string server_version;
    bool checksum = false;  // CRC32 after every event of the file
};
// Throws Error{corrupt}.
FormatDescription parse_format_description(ByteView event);

struct GtidEvent {
    enum Flags : uint8_t {
        standalone = 1,
        group_commit_id = 2,
        transactional = 4,
        allow_parallel = 8,
        waited = 16,
        ddl = 32,
        prepared_xa = 64,
        completed_xa = 128,
    };
    Gtid gtid;
    uint8_t flags = 0;
    bool two_phase_alter = false;
    std::string xid;  // of an XA transaction, as SQL writes it: X'67',X'62',1
    uint32_t timestamp = 0;
};
GtidEvent parse_gtid(const Event& event);
// Of each domain the newest one.
GtidState parse_gtid_list(const Event& event);
// Does this event, after `begin` in its group, end the group?
bool ends_group(const GtidEvent& begin, const Event& event);

uint32_t checksum_of(ByteView bytes);
// Is the checksum at the end of a whole event right?
bool checksum_matches(ByteView event);

}  // namespace sevenfold::database::source
