package circle

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"redhen/appliance/account"
	"redhen/appliance/words"
	"redhen/provision/pair"
	"redhen/raftnode"
	"redhen/raftnode/directory"
)

// A person is told what happened, that nothing was changed, and one thing to do,
// in words that need no knowledge.
func TestEveryErrorHasWords(t *testing.T) {
	errs := []error{raftnode.ErrApart, &account.SlowError{Wait: 90 * time.Second}}
	for _, row := range table() {
		errs = append(errs, row.err)
	}
	for _, c := range []directory.Code{
		directory.Invalid, directory.Stranger, directory.NotYours, directory.Refused, directory.Changed, directory.Missing,
		directory.Exists, directory.NameTaken, directory.Full, directory.Keeps, directory.Expired, "something-newer",
	} {
		errs = append(errs, &RefusedError{c})
	}
	for _, reason := range []string{HouseThere, NoHouse, LoginThere, LoginBare} {
		errs = append(errs, &JoinError{reason, "Mill Lane", pair.Guide{Houses: []pair.House{{Name: "Mill Lane"}, {Name: "Oak Street"}}}})
	}
	for _, err := range errs {
		w, ok := Explain(fmt.Errorf("wrapped: %w", err))
		if !ok || w.Code == "" || !strings.Contains(w.Sentence, "othing was changed") && !strings.Contains(w.Sentence, "nothing is lost") {
			t.Errorf("%v: %+v", err, w)
		}
		if !strings.HasSuffix(w.Sentence, ".") || strings.Count(w.Sentence, ". ") < 2 {
			t.Errorf("%v: not three sentences: %s", err, w.Sentence)
		}
		for _, word := range []string{"node", "quorum", "raft", "shard", "replica", "peer"} {
			if strings.Contains(strings.ToLower(w.Sentence), word) {
				t.Errorf("%v: says %q", err, word)
			}
		}
	}
	for c := pair.Garbage; c <= pair.BadKeeper; c++ {
		errs = append(errs, &pair.Refusal{Code: c})
	}
	errs = append(errs, &OtherBoxError{Box: "Mabel", House: "Mill Lane"}, &OtherBoxError{Box: "Mabel", House: "Mill Lane", Ahead: true})
	for _, err := range errs { // pages say it in a language, and name no commands
		w, _ := Explain(err)
		if key := "said." + cmp.Or(w.Key, w.Code); !words.English().Has(key) {
			t.Errorf("%v: no text %q", err, key)
		}
		if said := w.Say(nil); strings.Contains(said, "redhen") || strings.Contains(said, "{") {
			t.Errorf("%v: %s", err, said)
		}
	}
	if w, ok := Explain(errors.New("else")); ok {
		t.Errorf("words for what is not ours: %+v", w)
	}
}

func TestEveryRefusalHasItsOwnCode(t *testing.T) {
	seen := map[string]pair.Code{}
	for c := pair.Garbage; c <= pair.BadKeeper; c++ {
		w, ok := Explain(&pair.Refusal{Code: c})
		if !ok || w.Sentence == "" {
			t.Errorf("refusal %d: %+v", c, w)
		}
		if other, twice := seen[w.Code]; twice {
			t.Errorf("refusals %d and %d share the code %s", c, other, w.Code)
		}
		seen[w.Code] = c
	}
}
