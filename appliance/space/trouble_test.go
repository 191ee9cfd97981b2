package space

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// A person hears what happened, what is lost, and one thing to do; never an error of Go.
func TestEveryTroubleIsThreeSentences(t *testing.T) {
	rows := append(troubles(), trouble{errors.New("disk on fire"), 500, "inside"})
	for _, row := range rows {
		tr := Explain(fmt.Errorf("put: %w", row.err))
		if tr.Status != row.status || strings.Contains(tr.String(), "trouble.") {
			t.Errorf("%v: explained as %v", row.err, tr)
		}
		for _, s := range []string{tr.What, tr.Lost, tr.Do} {
			if !strings.HasSuffix(s, ".") || s[:1] != strings.ToUpper(s[:1]) {
				t.Errorf("%v: %q is no sentence", row.err, s)
			}
		}
		for _, word := range []string{"node", "quorum", "raft", "shard", "replica", "term", "peer"} {
			for said := range strings.FieldsFuncSeq(strings.ToLower(tr.String()), func(r rune) bool { return r < 'a' || r > 'z' }) {
				if said == word {
					t.Errorf("%v: %q is no word for a person: %s", row.err, word, tr)
				}
			}
		}
		if tr.Status < 400 || tr.Status > 599 {
			t.Errorf("%v: status %d", row.err, tr.Status)
		}
	}
}

func TestExplainTakesTheFirstMatch(t *testing.T) {
	if got := Explain(fmt.Errorf("%w: %w", ErrOwed, context.DeadlineExceeded)); got.Do != Explain(ErrOwed).Do {
		t.Errorf("got %v", got)
	}
	if got := Explain(fmt.Errorf("%w: %w", ErrCut, context.Canceled)).Status; got != 400 {
		t.Errorf("got %d", got)
	}
}
