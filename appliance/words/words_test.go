package words

import (
	"context"
	"testing"
	"time"
)

func TestSay(t *testing.T) {
	w, err := Parse("en", "# a comment\n\nhens = {n} hens at {house}\nhens.one = one hen at {house}\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		got, want string
	}{
		{w.Say("hens", "n", 3, "house", "Mill Lane"), "3 hens at Mill Lane"},
		{w.Say("hens", "n", 1, "house", "{n}"), "one hen at {n}"},
		{w.Say("no such key"), "no such key"},
		{English().Wait(time.Second), "one second"},
		{English().Wait(150 * time.Second), "3 minutes"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, file := range []string{"hens", "a = 1\na = 2", "=", "a=b"} {
		if _, err := Parse("xx", file); err == nil {
			t.Errorf("%q is taken", file)
		}
	}
}

// TestASecondLanguage: what it lacks is said in English, and browsers choose it.
func TestASecondLanguage(t *testing.T) {
	german, err := Parse("de", "undo = Rückgängig")
	if err != nil {
		t.Fatal(err)
	}
	german.rest = English()
	if german.Say("undo") != "Rückgängig" || german.Say("copy") != "Copy" || german.Has("no such key") {
		t.Error("its own words, or the others")
	}
	both := []*Words{English(), german}
	for accept, want := range map[string]string{
		"de-AT,de;q=0.9,en;q=0.8": "de", "en-GB,de": "en", "fr, de;q=0.5": "de", "fr": "en", "": "en", ";,": "en",
	} {
		if got := Choose(accept, both).Lang(); got != want {
			t.Errorf("%q: %s", accept, got)
		}
	}
	if In(With(context.Background(), german)) != german || In(context.Background()) != English() {
		t.Error("the language of a context")
	}
}
