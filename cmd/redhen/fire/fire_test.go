package fire

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"redhen/appliance/api"
	"redhen/appliance/status"
	"redhen/cmd/redhen/child"
)

func TestSourceIsTheSameForASeed(t *testing.T) {
	make := func(seed uint64) *source {
		src, err := makeSource(t.TempDir(), Config{Files: 60, Big: 1 << 20}, rand.New(rand.NewPCG(seed, 0)))
		if err != nil {
			t.Fatal(err)
		}
		return src
	}
	one, same, other := make(1), make(1), make(2)
	if len(one.paths) != 61 || one.bytes < 1<<20 {
		t.Errorf("source has %d files of %d bytes", len(one.paths), one.bytes)
	}
	for _, p := range one.paths {
		if one.sums[p] != same.sums[p] {
			t.Errorf("%s differs for one seed", p)
		}
	}
	if one.sums["Films/holiday.mkv"] == other.sums["Films/holiday.mkv"] {
		t.Error("the large file is the same for another seed")
	}
}

func TestLedgerCountsTheBestAnswer(t *testing.T) {
	l := newLedger()
	l.answer("a", sum{1}, 1)
	l.answer("b", sum{2}, 2)
	l.answer("a", sum{1}, 3)
	l.answer("a", sum{1}, 2)
	l.answer("c", sum{3}, 1)
	if safe, one := l.counts(); safe != 2 || one != 1 {
		t.Errorf("counts: %d safe, %d in one house; want 2 and 1", safe, one)
	}
	if m := l.safe(); len(m) != 2 || m["a"] != (sum{1}) || m["b"] != (sum{2}) {
		t.Errorf("safe: %v", m)
	}
	if _, _, ok := newLedger().pick(func(int) int { return 0 }); ok {
		t.Error("picked from an empty ledger")
	}
	if p, content, ok := l.pick(func(n int) int { return n - 1 }); p != "a" || content != (sum{1}) || !ok {
		t.Errorf("picked %q", p)
	}
}

func TestDifferentWordsAreAnAlarm(t *testing.T) {
	words := []api.Word{{Text: "a"}, {Text: "b"}, {Text: "c"}, {Text: "d"}}
	lines := func(steps ...api.Step) []byte {
		var b strings.Builder
		for _, s := range steps {
			json.NewEncoder(&b).Encode(s)
		}
		return []byte(b.String())
	}
	good := lines(api.Step{Stage: api.StageConnecting}, api.Step{Stage: api.StageWaiting, Words: words}, api.Step{Done: true})
	if err := sameWords(good, words); err != nil {
		t.Errorf("same words: %v", err)
	}
	other := lines(api.Step{Stage: api.StageWaiting, Words: words[:3]}, api.Step{Done: true})
	for _, bad := range [][]byte{other, lines(api.Step{Done: true}), []byte("{"), nil} {
		if sameWords(bad, words) == nil {
			t.Errorf("no alarm for %q", bad)
		}
	}
}

func TestEverywhereWantsAllHousesAndNoOther(t *testing.T) {
	all := []string{"x", "y"}
	space := status.Space{Houses: all}
	good := status.Report{Houses: []status.House{{Name: "x"}, {Name: "y"}}, Spaces: []status.Space{space, space, space}}
	if !everywhere(good, all) {
		t.Error("not everywhere, though it is")
	}
	burnt := good
	burnt.Houses = append(burnt.Houses[:2:2], status.House{Name: "burnt"})
	late := good
	late.Spaces = []status.Space{space, {Houses: all[:1]}, space}
	waits := good
	waits.Spaces = []status.Space{space, {Houses: all, Waiting: 1}, space}
	for _, bad := range []status.Report{burnt, late, waits, {}} {
		if everywhere(bad, all) {
			t.Errorf("everywhere: %+v", bad)
		}
	}
}

// The proxy notes what a write was answered, and nothing else.
func TestProxyNotesAnswers(t *testing.T) {
	box := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		switch {
		case strings.Contains(r.URL.Path, "refused"):
			w.WriteHeader(http.StatusInsufficientStorage)
		case r.Method == http.MethodPut:
			w.Header().Set("Redhen-Kept", "2")
			w.WriteHeader(http.StatusCreated)
		}
	}))
	defer box.Close()
	s := &story{source: &source{sums: map[string]sum{"a b.txt": {1}, "refused": {2}}}, ledger: newLedger()}
	u := &upload{s: s}
	target, err := url.Parse(box.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(u.counting(target))
	defer proxy.Close()
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{http.MethodPut, "a%20b.txt", http.StatusCreated},
		{http.MethodPut, "refused", http.StatusInsufficientStorage},
		{http.MethodPut, "unknown", http.StatusBadGateway},
		{http.MethodGet, "a%20b.txt", http.StatusOK},
	} {
		req, err := http.NewRequest(c.method, proxy.URL+"/dav/mia/"+c.path, strings.NewReader("12345"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%s %s: %s, want %d", c.method, c.path, resp.Status, c.want)
		}
	}
	if m := s.ledger.safe(); len(m) != 1 || m["a b.txt"] != (sum{1}) {
		t.Errorf("noted %v", m)
	}
	if u.bytes.Load() != 20 || u.files.Load() != 1 {
		t.Errorf("counted %d bytes and %d files, want 20 and 1", u.bytes.Load(), u.files.Load())
	}
}

// A story that fails says in which chapter, and how the log of every box ends.
func TestAStoryThatFailsSaysWhere(t *testing.T) {
	var out strings.Builder
	sleep := chapter{"a cat sleeps", func(s *story, _ context.Context) error {
		return os.WriteFile(filepath.Join(s.dir, "a.log"), []byte("purr\n"), 0o600)
	}}
	wake := chapter{"it wakes up", func(*story, context.Context) error { return errors.New("there is a dog") }}
	err := tell(t.Context(), Config{Out: &out, Seed: 7, Files: 20, Big: 1}, sleep, wake)
	if err == nil || !strings.Contains(err.Error(), "seed 7: it wakes up: ") || !strings.Contains(err.Error(), "there is a dog") {
		t.Errorf("tell: %v", err)
	}
	if !strings.Contains(out.String(), "a.log ends:\npurr\n") {
		t.Errorf("it shows\n%s", out.String())
	}
}

// One retry is allowed; a second failure is one.
func TestLoadAllowsOneRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := errors.New("no")
		results := []error{nil, fail, nil, fail, fail}
		i := 0
		l := every(t.Context(), time.Second, func(context.Context, int) error {
			i++
			if i > len(results) {
				return nil
			}
			return results[i-1]
		})
		time.Sleep(3500 * time.Millisecond)
		l.stop()
		if l.n != 3 || l.retried != 2 || !errors.Is(l.err, fail) {
			t.Errorf("load: %d steps, %d retried, %v; want 3, 2, no", l.n, l.retried, l.err)
		}
	})
}

// What reads otherwise than it was written is a loss, and is named.
func TestVerifyFindsLoss(t *testing.T) {
	box := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/missing") {
			http.NotFound(w, r)
			return
		}
		io.WriteString(w, "content")
	}))
	defer box.Close()
	good := sum(sha256.Sum256([]byte("content")))
	b := &child.Box{Config: child.Config{HTTP: strings.TrimPrefix(box.URL, "http://")}}
	s := &story{}
	if err := s.verify(t.Context(), b, map[string]sum{"here": good}); err != nil {
		t.Errorf("verify: %v", err)
	}
	for _, files := range []map[string]sum{{"here": good, "missing": good}, {"here": {1}}} {
		if err := s.verify(t.Context(), b, files); err == nil || !strings.Contains(err.Error(), "LOST 1 of") {
			t.Errorf("verify: %v, want a loss", err)
		}
	}
}
