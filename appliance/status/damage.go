package status

import (
	"slices"
	"strings"

	"redhen/appliance/words"
	"redhen/raftnode"
	"redhen/raftnode/directory"
)

// Why a copy stopped. isNewer: for something it does not know.
func isNewer(failed string) bool {
	return strings.Contains(failed, directory.ErrUnknown.Error()) || strings.Contains(failed, "this version of redhen does not know it")
}

func isLogLost(failed string) bool { return strings.Contains(failed, raftnode.ErrLogLost.Error()) }
func isListDamaged(failed string) bool {
	return strings.Contains(failed, raftnode.ErrStateDamaged.Error())
}

func isOtherStop(failed string) bool {
	return !isNewer(failed) && !isLogLost(failed) && !isListDamaged(failed)
}

func findStopped(why func(failed string) bool) func(*scene) []finding {
	return func(s *scene) []finding {
		return s.perBox(func(sh raftnode.ShardStatus) (string, bool) {
			return sh.Failed, sh.Failed != "" && why(sh.Failed)
		})
	}
}

// findLogLost tells of copies whose log is lost: of those that wait for a house to answer (alone), or of the others.
func findLogLost(alone bool) func(*scene) []finding {
	return func(s *scene) (list []finding) {
		if s.alone() != alone {
			return nil
		}
		for _, f := range findStopped(isLogLost)(s) {
			f.about["houses"] = s.Words.List(s.tally.awayHouses())
			list = append(list, f)
		}
		return list
	}
}

// findSalvaged tells of logs that nobody else had a copy of.
func findSalvaged(s *scene) []finding {
	return s.perBox(func(sh raftnode.ShardStatus) (string, bool) { return "salvaged", sh.Salvaged > 0 && sh.Failed == "" })
}

// findMended tells of pieces of files; lists and logs have rows of their own.
func findMended(s *scene) (list []finding) {
	for _, st := range s.Boxes {
		n := 0
		spaces := s.which(func(sp Space) bool {
			i := slices.IndexFunc(st.Shards, func(sh raftnode.ShardStatus) bool { return sh.Shard == sp.ID && pieces(sh) > 0 })
			if i >= 0 {
				n += pieces(st.Shards[i])
			}
			return i >= 0
		})
		if n > 0 {
			list = append(list, s.aboutBox(st.Box, "spaces", spacesWords(s.Words, spaces), "were", s.Words.Count(n, "were"),
				"pieces", s.Words.Say("pieces", "n", n, "number", words.Capital(s.Words.Number(n)))))
		}
	}
	return list
}

func pieces(sh raftnode.ShardStatus) int { return sh.Mended - sh.Rebuilt - sh.Renumbered }

func findMendedLists(s *scene) []finding {
	return s.perBox(func(sh raftnode.ShardStatus) (string, bool) { return "fetched", sh.Rebuilt > 0 })
}

func findMendedLogs(s *scene) []finding {
	return s.perBox(func(sh raftnode.ShardStatus) (string, bool) {
		return "renumbered", sh.Renumbered > sh.Salvaged && sh.Failed == ""
	})
}
