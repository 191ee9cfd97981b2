package status

import "time"

// PublicName is what a box knows of the name by which its circle is opened from everywhere.
type PublicName struct {
	Domain   string
	Provider string // that keeps the name, for people
	// Trouble is what the box that looks after the name found last, since Since: "token",
	// "server", "nobody", "elsewhere", "stolen", or nothing.
	Trouble string
	Since   time.Time
	// Ends is when the certificate at this box ends, zero while there is none; Late: it should
	// have been renewed some time ago.
	Ends time.Time
	Late bool
	Set  time.Time // when the name was set
}

// The codes of what keeps people from opening the circle from everywhere.
const (
	CodeNameToken     Code = "name-token"
	CodeNameStolen    Code = "name-token-stolen"
	CodeNameServer    Code = "name-not-written"
	CodeNameNobody    Code = "name-not-reached"
	CodeNameElsewhere Code = "name-elsewhere"
	CodeCertificate   Code = "certificate"
	CodeNoCertificate Code = "no-certificate"
)

// certificateIn is how long a first certificate may take.
const certificateIn = 10 * time.Minute

// publicCares are rows of the table of faults.
func publicCares() []row {
	return []row{
		{code: CodeNameStolen, weight: Care, find: findName("stolen")},
		{code: CodeNameToken, weight: Care, find: findName("token")},
		{code: CodeNameServer, weight: Care, find: findName("server")},
		{code: CodeNameNobody, weight: Care, find: findName("nobody")},
		{code: CodeNameElsewhere, weight: Care, find: findName("elsewhere")},
		{code: CodeCertificate, weight: Care, find: findCertificate},
		{code: CodeNoCertificate, weight: Care, find: findNoCertificate},
	}
}

func (s *scene) aboutName(pairs ...string) finding {
	n := s.Public
	provider := n.Provider
	if provider == "" {
		provider = s.Words.Say("whoever-keeps-name")
	}
	return about(append([]string{"domain", n.Domain, "provider", provider, "since", s.Words.When(n.Since, s.Now)}, pairs...)...)
}

func findName(trouble string) func(*scene) []finding {
	return func(s *scene) []finding {
		if s.Public == nil || s.Public.Trouble != trouble {
			return nil
		}
		f := s.aboutName()
		f.since = s.Public.Since
		return []finding{f}
	}
}

func findCertificate(s *scene) []finding {
	if s.Public == nil || s.Public.Ends.IsZero() || !s.Public.Late {
		return nil
	}
	return []finding{s.aboutName("ends", s.Words.Date(s.Public.Ends.In(s.Now.Location())))}
}

func findNoCertificate(s *scene) []finding {
	if s.Public == nil || !s.Public.Ends.IsZero() || s.Now.Sub(s.Public.Set) < certificateIn || s.Now.Sub(s.Started) < certificateIn {
		return nil
	}
	return []finding{s.aboutName()}
}
