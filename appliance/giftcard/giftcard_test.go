package giftcard

import (
	"bytes"
	"image"
	_ "image/png"
	"strings"
	"testing"
	"time"

	"redhen/provision/qr"
)

func card() Card {
	return Card{
		House: "Mill Lane", Circle: "Hens", Giver: "Anna", Code: "ABCD-2345", Expires: time.Date(2026, 12, 24, 18, 0, 0, 0, time.UTC),
	}
}

func html(t *testing.T, c Card) string {
	t.Helper()
	b, err := HTML(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTheCardSaysAllThatIsNeeded(t *testing.T) {
	got := html(t, card())
	for _, want := range []string{
		"A box for Mill Lane", "circle Hens", "present from Anna", "ABCD-2345", "network cable", "Tell Anna that it is plugged in",
		"before 24 December 2026", Link, "1. Plug it in", "2. Wait", "3. Open it",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the card lacks %q", want)
		}
	}
	if n := strings.Count(got, "<svg"); n != 4 {
		t.Errorf("%d pictures, want three and the code to scan", n)
	}
	c := card()
	c.Giver, c.Wifi, c.Waived = "", "Attic <b>", true
	got = html(t, c)
	if !strings.Contains(got, "joins the Wi-Fi Attic &lt;b&gt; by itself") || strings.Contains(got, "say yes") || strings.Contains(got, "present from") {
		t.Error("a card with Wi-Fi, without a giver")
	}
}

// The code on the paper opens the box: what is printed is the drawing that a reader reads.
func TestTheCodeOnTheCardOpensTheBox(t *testing.T) {
	drawn, err := qr.Draw(Link)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(html(t, card()), string(drawn.SVG())) {
		t.Fatal("another code is printed")
	}
	photo := drawn.PNG(6)
	if _, _, err := image.Decode(bytes.NewReader(photo)); err != nil {
		t.Fatal(err)
	}
	if text, err := qr.Decode(bytes.NewReader(photo)); err != nil || text != Link {
		t.Errorf("read %q, %v", text, err)
	}
}

// It is opened by whatever program prints it: nothing is fetched, nothing runs.
func TestTheCardLoadsNothing(t *testing.T) {
	got := html(t, card())
	for _, bad := range []string{"<script", "src=", "@import", "url(", "<link", "ticket"} {
		if strings.Contains(got, bad) {
			t.Errorf("the card has %q", bad)
		}
	}
}

func TestACardWithoutItsPartsIsNone(t *testing.T) {
	for _, spoil := range []func(*Card){
		func(c *Card) { c.House = "" }, func(c *Card) { c.Circle = "" }, func(c *Card) { c.Code = "" },
	} {
		c := card()
		spoil(&c)
		if _, err := HTML(c, nil); err == nil {
			t.Errorf("made of %+v", c)
		}
	}
}
