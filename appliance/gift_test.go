package appliance

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"redhen/appliance/circle"
	"redhen/provision/seed"
)

// runWithCard runs a box until the test ends, from a card with settings.
func runWithCard(t *testing.T, s seed.Seed) *box {
	t.Helper()
	cfg := config(t.TempDir())
	cfg.Boot = t.TempDir()
	if err := os.WriteFile(filepath.Join(cfg.Boot, "redhen.toml"), seed.Render(s), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	b := &box{a, end, make(chan error, 1)}
	go func() { b.ended <- a.Run(ctx) }()
	t.Cleanup(func() { b.stop(t) })
	return b
}

// take sends the form by which a friend takes a gift.
func (b *box) take(t *testing.T, code string) (status int, at string) {
	t.Helper()
	form := url.Values{"code": {code}, "person": {"Gil Smith"}, "login": {"gil"}, "password": {password}}
	req, err := http.NewRequest("POST", "http://"+b.Addr()+"/receive", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", "http://"+b.Addr())
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode, resp.Header.Get("Location")
}

// A gift over real links, from the card to the friend's first log-in.
func TestAGiftFromTheCardToTheFirstLogin(t *testing.T) {
	giver := runBox(t, t.TempDir())
	giver.found(t)
	p, err := giver.Circle().Gift(circle.Gift{Place: circle.Place{House: "Oak Street", Box: "oak"}, Keeper: "gil", Waived: true})
	if err != nil {
		t.Fatal(err)
	}
	p.Seed.TimeZone = "Asia/Tokyo"
	gift := runWithCard(t, p.Seed)
	if _, east := gift.now().Zone(); east != 9*3600 {
		t.Errorf("the clock of the card's place is %d s east", east)
	}
	if status, _, text := gift.do(t, "GET", "/claim", "", nil); status != 200 || !strings.Contains(text, "Code of the box") && !strings.Contains(text, "This box is taken") {
		t.Errorf("a gift is claimed without its code: %d", status)
	}
	for end := time.Now().Add(patience); !gift.Circle().Unreceived(); {
		if time.Now().After(end) {
			t.Fatalf("not in after minutes: %+v", gift.Start().State())
		}
		select {
		case <-gift.Node().News():
		case <-time.After(time.Second):
		}
	}
	if status, _ := gift.take(t, "AAAA-AAAA"); status != http.StatusUnprocessableEntity || !gift.Circle().Unreceived() {
		t.Fatalf("taken with a wrong code: %d", status)
	}
	if status, at := gift.take(t, strings.ToLower(p.Code)); status != http.StatusSeeOther || !strings.HasPrefix(at, "/") {
		t.Fatalf("not taken with the code of the card: %d, to %q", status, at)
	}
	if gift.Circle().Unreceived() || gift.Start().HasCode() || gift.About().ClaimCode != "" {
		t.Error("the gift does not know that it was taken")
	}
	if _, _, err := giver.Accounts().Login(t.Context(), "gil", password); err != nil {
		t.Errorf("gil cannot log in at the giver's: %v", err)
	}
}
