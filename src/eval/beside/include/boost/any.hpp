// any.hpp - what HumanEvalPack uses of boost, which is not there in a sandbox: C++17's any is the same for it.
#pragma once
#include <any>

namespace boost {
using std::any;
using std::any_cast;
using std::bad_any_cast;
}
