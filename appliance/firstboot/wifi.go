package firstboot

import (
	"slices"

	"redhen/provision/seed"
)

// AddWifi makes a network the first that the box joins; one that is known by that name
// is replaced. Of too many, the last are forgotten.
func (s *Start) AddWifi(w seed.Wifi) {
	s.use(func(sd *seed.Seed) { *sd = seed.Seed{Wifi: []seed.Wifi{w}}.Over(*sd) })
	s.set(func(*State) {})
}

// ForgetWifi forgets a network, and reports whether it was known.
func (s *Start) ForgetWifi(ssid string) (known bool) {
	s.use(func(sd *seed.Seed) {
		was := len(sd.Wifi)
		sd.Wifi = slices.DeleteFunc(slices.Clone(sd.Wifi), func(w seed.Wifi) bool { return w.SSID == ssid })
		known = len(sd.Wifi) < was
	})
	s.set(func(*State) {})
	return known
}

// SetupPassword is that of the network which the box opens itself. It is drawn once,
// unless the card brought it.
func (s *Start) SetupPassword() string {
	s.use(func(sd *seed.Seed) {
		if sd.Setup == "" {
			sd.Setup = seed.NewSetup()
		}
	})
	return string(s.Seed().Setup)
}

// TakeStick takes over the networks on a USB stick, and reports whether there were any.
// What is wrong with them becomes a problem in the State.
func (s *Start) TakeStick(stick seed.Folder) (taken bool) {
	s.mu.Lock()
	r, err := seed.ImportStick(stick, s.cfg.Data)
	if err == nil {
		s.seed = r.Seed
	} else {
		s.cfg.Logger.Warn("settings of a stick are not kept", "err", err)
	}
	s.mu.Unlock()
	s.set(func(*State) {})
	for _, p := range r.Problems {
		s.cfg.Logger.Warn("stick", "problem", p.String())
		s.note(Problem{Found: p, Stick: true})
	}
	return len(r.New) > 0
}
