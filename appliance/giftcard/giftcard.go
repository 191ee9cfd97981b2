// Package giftcard makes the page that is printed and handed over with a box: what to
// do in three pictures, a QR code that opens the box, and the code that claims it. It
// never bears the ticket, which is on the box's own card. It is pure.
package giftcard

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"time"

	"redhen/appliance/words"
	"redhen/provision/qr"
)

// Link is what the QR code opens, on a phone in the house of the box.
const Link = "http://redhen.local/"

// Card is what stands on the page. House, Circle and Code are needed.
type Card struct {
	House   string    // where the box will stand
	Circle  string    // whose it becomes
	Giver   string    // whom to call; may be empty
	Code    string    // claim code, as it is shown
	Wifi    string    // name of the network that the box joins by itself; empty: it needs the cable
	Expires time.Time // until when it must have been plugged in; in the giver's time zone
	Waived  bool      // the giver need not say yes

	// Setup and SetupPassword are of the network that the box opens itself while it is on
	// no other; empty: it opens none.
	Setup, SetupPassword string
}

//go:embed card.html
var page string

// HTML returns the page in a language, whole in itself: it loads nothing, and is made for
// paper, on one side of which it fits.
func HTML(c Card, in *words.Words) ([]byte, error) {
	if c.House == "" || c.Circle == "" || c.Code == "" {
		return nil, errors.New("gift card: house, circle or code is missing")
	}
	code, err := qr.Draw(Link)
	if err != nil {
		return nil, fmt.Errorf("gift card: %w", err)
	}
	t, err := template.New("card").Funcs(template.FuncMap{"say": in.Say}).Parse(page)
	if err != nil {
		return nil, fmt.Errorf("gift card: %w", err)
	}
	var b bytes.Buffer
	err = t.Execute(&b, struct {
		Card
		Lang, Link, Until string
		QR                template.HTML
	}{c, in.Lang(), Link, in.LongDate(c.Expires), template.HTML(code.SVG())})
	if err != nil {
		return nil, fmt.Errorf("gift card: %w", err)
	}
	return b.Bytes(), nil
}
