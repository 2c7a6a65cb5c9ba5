// What the backends with restic's layout of folders (local, SFTP) have in common.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <optional>
#include <string_view>

#include "storage/backend.h"

namespace sevenfold::storage {

// A temporary file older than this was left by a run that was killed.
inline constexpr std::chrono::hours kLeftoverAge{24};

// True when a file of this type is called so while it is being stored: "<name>-tmp-<16 hex digits>"
// (ours), "<name>-tmp-<digits>" (restic in a local folder), "<name>-restic-temp-<32 hex digits>"
// (restic over SFTP).
bool is_temporary_name(FileType type, std::string_view name);

// The first byte of the ids of packs in data/<name>; none when packs have no such folder.
std::optional<uint8_t> pack_folder(std::string_view name);

// Remembers into which folders something was stored. Thread-safe.
class StoredInto {
  public:
    // True for the first call with a name in its folder.
    bool first_time(const FileName& name);

  private:
    std::array<std::atomic<bool>, 256> packs_{};
    std::array<std::atomic<bool>, 8> others_{};  // by FileType
};

}  // namespace sevenfold::storage
