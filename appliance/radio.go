package appliance

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"redhen/board/wifi"
	"redhen/provision/seed"
)

// radioAgain is how often a box looks for its radio: a driver may come late.
const radioAgain = 10 * time.Second

// keepWifi keeps the radio on a network that the card names, until ctx ends.
func (a *Appliance) keepWifi(ctx context.Context) error {
	if a.cfg.Radio == nil {
		return nil
	}
	for told := false; ; told = true {
		radio, err := a.cfg.Radio()
		if err == nil {
			k := wifi.New(wifi.Config{
				Radio: radio, Networks: func() []wifi.Network { return networks(a.start.Seed()) },
				Country: func() string { return a.start.Seed().Country }, Logger: a.log,
			})
			a.wifi.Store(k)
			return k.Run(ctx)
		}
		if !told && !errors.Is(err, fs.ErrNotExist) {
			a.log.Warn("no radio", "err", err)
		}
		t := time.NewTimer(radioAgain)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
	}
}

// networks are those of the settings, as the radio's keeper has them.
func networks(s seed.Seed) (list []wifi.Network) {
	for _, w := range s.Wifi {
		list = append(list, wifi.Network{SSID: w.SSID, Passphrase: string(w.Passphrase), PMK: string(w.PMK), Hidden: w.Hidden, Country: w.Country})
	}
	return list
}

// wifiTrouble says why no Wi-Fi is joined, empty when all is well or there is no radio.
func (a *Appliance) wifiTrouble() string {
	k := a.wifi.Load()
	if k == nil {
		return ""
	}
	return k.State().Sentence()
}
