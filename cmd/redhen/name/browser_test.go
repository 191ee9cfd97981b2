package name

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"redhen/cmd/redhen/chromium"
)

// browser is Chromium with a virtual authenticator, that trusts the authority.
type browser struct {
	t   *testing.T
	ctx context.Context
}

func (v *village) browser() *browser {
	v.t.Helper()
	var trusted []string
	for _, c := range v.pebble.Chain {
		sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
		trusted = append(trusted, base64.StdEncoding.EncodeToString(sum[:]))
	}
	ctx := chromium.Start(v.t, chromedp.Flag("ignore-certificate-errors-spki-list", strings.Join(trusted, ",")))
	b := &browser{v.t, ctx}
	life, done := context.WithTimeout(ctx, patience)
	defer done()
	if _, err := chromedp.Call(life, webauthn.Enable, webauthn.EnableParams{}); err != nil {
		v.t.Fatal(err)
	}
	_, err := chromedp.Call(life, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
		HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
	}})
	if err != nil {
		v.t.Fatal(err)
	}
	return b
}

func (b *browser) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, end := context.WithTimeout(b.ctx, patience)
	defer end()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%s: %v\nthe page says:\n%s", what, err, b.text())
	}
}

// text is what the page says, with its address.
func (b *browser) text() string {
	ctx, end := context.WithTimeout(b.ctx, patience)
	defer end()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("location.href+'\\n'+document.body.innerText"))
	if err != nil {
		return err.Error()
	}
	return text
}

// passkey: a person far from every house opens the circle's name, makes a passkey, logs in with
// it through a box that only passes on; the house that served burns, and the next click works. It
// returns that house.
func (v *village) passkey() (served house) {
	v.t.Helper()
	if err := v.boxes["gate"].ServeVisitors(v.t.Context(), false); err != nil {
		v.t.Fatal(err)
	}
	b := v.browser()
	site := "https://" + Zone
	b.do("open", chromedp.Navigate(site+"/login"), chromedp.WaitVisible("#f-login"))
	for _, h := range houses[1:] {
		if strings.Contains(b.text(), strings.ToUpper(h.name[:1])+h.name[1:]) {
			served = h
		}
	}
	if served.name == "" {
		v.t.Fatalf("nobody behind the gate served: %s", b.text())
	}
	b.do("log in by password", chromedp.SendKeys("#f-login", "mia"), chromedp.SendKeys("#f-password", password),
		chromedp.Click("main button"), chromedp.WaitVisible(`a[href="/me"]`))
	b.do("make a passkey", chromedp.Navigate(site+"/passkey"), chromedp.SendKeys("#name", "Mia's phone"), chromedp.Click("#register button"), chromedp.WaitVisible("li form"))
	if !strings.Contains(b.text(), "Mia's phone") {
		v.t.Fatalf("no passkey: %s", b.text())
	}
	b.do("log out", chromedp.Navigate(site+"/me"), chromedp.Click(`form[action="/logout"] button`), chromedp.WaitVisible("#f-login"))
	b.do("log in by passkey", chromedp.Navigate(site+"/passkey?to=/me"), chromedp.Click("#login button"), chromedp.WaitVisible(`form[action="/me/password"]`))

	v.boxes[served.name].Kill()
	begun := time.Now()
	b.do("the next click", chromedp.Navigate(site+"/files"), chromedp.WaitVisible(`a[href="/me"]`))
	if text := b.text(); strings.Contains(text, "/login") {
		v.t.Errorf("logged out by the fire: %s", text)
	}
	v.t.Logf("%s burnt; the next click worked after %.1f s", served.name, time.Since(begun).Seconds())
	return served
}
