// SPDX-License-Identifier: GPL-2.0-only
// The standard headers that most files of the core include, parsed once. Each file still includes
// what it uses: the plain build of the C++ tests goes without this (-Db_pch=false).
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>
