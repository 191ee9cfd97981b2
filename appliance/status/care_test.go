package status

import (
	"testing"
	"time"

	"redhen/raftnode/directory"
	"redhen/raftnode/scrub"
)

func TestChecksInWords(t *testing.T) {
	ended := noon.Add(-26 * time.Hour).UnixMilli()
	for _, tc := range []struct {
		st              scrub.Status
		words, sentence string
	}{
		{scrub.Status{}, "not checked yet", ""},
		{
			scrub.Status{Last: scrub.Round{Began: 1, Ended: ended, Bytes: 3e9}},
			"checked yesterday 10:00, all good", "Read everything again that this box keeps, 3.0 GB. All is good.",
		},
		{
			scrub.Status{Last: scrub.Round{Began: 1, Ended: ended, Bytes: 3e9, Bad: 2, BadLists: 1}, Round: scrub.Round{Began: 5, Bytes: 30}, Total: 100},
			"checked yesterday 10:00, 2 pieces and 1 list bad, fetched again from another house; being checked now, 30 % done",
			"Read everything again that this box keeps, 3.0 GB. 2 pieces and 1 list had gone bad, and came again from another house. Nothing is lost. If this comes back often, replace the card or disk of this box.",
		},
		{
			scrub.Status{Last: scrub.Round{Began: 1, Ended: ended, Bad: 3, Left: 2}},
			"checked yesterday 10:00, 3 pieces bad, 2 of them not to be had elsewhere yet",
			"Read everything again that this box keeps, 0 bytes. 3 pieces had gone bad, and 2 of them no house in reach has. What others have comes by itself when they are back; leave the boxes switched on, and replace the card or disk of this one.",
		},
	} {
		c := CheckOf(nil, tc.st, noon)
		if c.Words != tc.words {
			t.Errorf("got %q, want %q", c.Words, tc.words)
		}
		if got := c.Sentence(nil); tc.sentence != "" && got != tc.sentence {
			t.Errorf("got %q, want %q", got, tc.sentence)
		}
	}
}

// Every check of every box stands in the diary once, and one that is under way not yet.
func TestChecksAreToldOnce(t *testing.T) {
	f := whole(3)
	f.Boxes[1].Care.Scrub.Round.Began = 7
	var rows []directory.Entry
	tell := func() (n int) {
		for _, e := range events(Build(f), rows, time.Minute) {
			rows = append([]directory.Entry{e}, rows...)
			n++
		}
		return n
	}
	if n := tell(); n != 0 {
		t.Errorf("%d rows before any check ended", n)
	}
	f.Boxes[1].Care.Scrub.Last = scrub.Round{Began: 7, Ended: noon.UnixMilli()}
	f.Boxes[2].Care.Scrub.Last = scrub.Round{Began: 7, Ended: noon.UnixMilli(), Bad: 1}
	if first, second := tell(), tell(); first != 2 || second != 0 {
		t.Errorf("%d rows, then %d; want 2, then none", first, second)
	}
	f.Boxes[2].Care.Scrub.Last.Ended += 1000
	if n := tell(); n != 1 {
		t.Errorf("%d rows of the next check, want 1", n)
	}
}
