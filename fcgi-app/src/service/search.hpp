// How a search that may take too long is answered. Knows neither SQL nor what is looked for. Runs on the lane of searches.
#pragma once

#include "content/document.hpp"
#include "lanes/lane.hpp"
#include "lanes/reader.hpp"
#include "text/text.hpp"

#include <string_view>

namespace app {

inline Problem search_too_broad() {
    return {.status = 422,
            .type = "/problems/search-too-broad",
            .detail = "This text is too short to be found among so many: search for 3 characters or more."};
}

// A search costs its own client's time. `count` gives a page and its total, `find` the same page without, which is quick where
// many rows match; both are slow (DatabaseFault) where they take too long. Where others wait, what could not be counted in
// time is not looked for again; what cannot be found at all for being shorter than what the index is made of (groups of three
// characters, without accents) is a 422.
template <class Count, class Find>
Result<Document> search_in_time(std::string_view text, const OthersWait& others_wait, Count count, Find find) {
    try {
        return count();
    } catch (const DatabaseError& error) {
        if (error.fault != DatabaseFault::slow) throw;
    }
    if (others_wait()) return overloaded();
    try {
        return find();
    } catch (const DatabaseError& error) {
        if (error.fault != DatabaseFault::slow || count_beside_accents(text) >= 3) throw;
    }
    return search_too_broad();
}

}  // namespace app
