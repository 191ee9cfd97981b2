package status

// Strangers says how far others than the circle's boxes help these to find each other.
type Strangers struct {
	// Allowed: they may be asked while no house can be called; Asked: they are, now.
	Allowed bool `json:"allowed"`
	Asked   bool `json:"asked"`
	// Relays are rented ones, allowed by whoever runs them, that pass on what nobody but the boxes can read.
	Relays []string `json:"relays,omitempty"`
	// Words says the same; empty when there is nothing to say.
	Words string `json:"words,omitempty"`
}

func strangersWords(f Facts) Strangers {
	s := Strangers{Allowed: f.StrangersOn, Asked: f.StrangersUsed}
	for _, r := range f.Relays {
		s.Relays = append(s.Relays, r.String())
	}
	switch {
	case s.Asked:
		s.Words = f.Words.Say("strangers.asked")
	case len(s.Relays) > 0:
		s.Words = f.Words.Say("strangers.relay", "at", f.Relays[0].At)
	case !s.Allowed && !f.Outside:
		s.Words = f.Words.Say("strangers.refused")
	}
	return s
}
