package web

import (
	"html/template"
	"strings"
	"testing"

	"redhen/appliance/status"
)

// TestEveryFaultIsShownByOneComponent: whatever redhen knows to go wrong is shown in
// the same five parts, in the same order, without a word that people need not know.
func TestEveryFaultIsShownByOneComponent(t *testing.T) {
	w := newWorld(t)
	known := status.Known(nil)
	if len(known) < 15 {
		t.Fatalf("only %d faults are known", len(known))
	}
	for _, f := range known {
		html := renderFault(t, w, f)
		for _, part := range []string{f.What, "Is anything lost?", f.Lost, "What heals by itself", f.Heals, "The one thing to do", f.Do, "Who can help", f.Help} {
			i := strings.Index(html, template.HTMLEscapeString(part))
			if part == "" || i < 0 {
				t.Errorf("%s: %q is missing, or not in order:\n%s", f.Code, part, html)
				break
			}
			html = html[i:]
		}
		for _, word := range strings.FieldsFunc(strings.ToLower(f.What+" "+f.Lost+" "+f.Heals+" "+f.Do+" "+f.Help), func(r rune) bool { return strings.ContainsRune(" .,:;!?“”’", r) }) {
			switch strings.TrimSuffix(word, "s") {
			case "node", "quorum", "raft", "shard", "replica", "term", "peer", "cluster", "user", "device", "error":
				t.Errorf("%s says %q", f.Code, word)
			}
		}
	}
}

func renderFault(t *testing.T, w *world, f status.Fault) string {
	t.Helper()
	html, err := w.request("GET", "/").Part("home", "fault", f)
	if err != nil {
		t.Fatal(err)
	}
	return html
}

// TestAFaultAsItIsShown is the component itself, word for word.
func TestAFaultAsItIsShown(t *testing.T) {
	w := newWorld(t)
	f := status.Fault{Weight: status.Danger, What: "A <house> burns.", Lost: "No.", Heals: "All.", Do: "Wait.", Help: "Ben.", Details: []string{"shard 7"}}
	want := `<article class="fault danger"><h3>A &lt;house&gt; burns.</h3><dl>
<div><dt>Is anything lost?</dt><dd>No.</dd></div>
<div><dt>What heals by itself</dt><dd>All.</dd></div>
<div class="do"><dt>The one thing to do</dt><dd>Wait.</dd></div>
<div><dt>Who can help</dt><dd>Ben.</dd></div>
</dl>
<details class="helper"><summary>For a helper</summary><pre>shard 7
</pre></details></article>`
	if got := renderFault(t, w, f); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	f.Weight = status.Note
	if got := renderFault(t, w, f); !strings.HasPrefix(got, `<details class="fault note"><summary><h3>`) {
		t.Errorf("good to know:\n%s", got)
	}
}
