r"""Completion for bash and zsh: the text of the scripts, and what stands in it of each command.

Each is an engine that walks over the words typed so far, and a table: of the words of a command its options, what their
values can be, and what its own words can be (completion_table has the codes). Nothing else is worked out here: so
the engine is the same for all commands, and names none. Written for bash 3.2 (macOS) and zsh 5.
"""

from __future__ import annotations

from queuectl_lib.commands import completion_table
from queuectl_lib.host import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List

BASH = r"""# Completion of @NAME@ for bash: made by `queuectl.py completion bash`, to be read by ~/.bashrc.
@NAME@() { @CALL@ "$@"; }

# The table: options (with = and what their values can be) and words of a command, by its words.
_@FUNC@_facts() {
  case $1 in
@FACTS@
    *) return 1 ;;
  esac
}

_@FUNC@_kind() {  # of the option $1
  local one
  kind=
  for one in "${_opts[@]}"; do
    [[ $one == "$1"=* ]] && kind=${one#*=}
  done
}

_@FUNC@_complete() {
  local line=${COMP_LINE:0:COMP_POINT} cur= full= head= kind= takes= home= behind= command= first= strip= one part
  local -i n=0
  local -a words _opts _words
  local _more=
  IFS=$' \t\n' read -r -d '' -a words <<< "$line"
  if [[ $line != *[[:space:]] ]]; then
    cur=${words[${#words[@]}-1]}
    unset "words[${#words[@]}-1]"
  fi
  while (( ${#words[@]} )) && [[ ${words[0]} != "$1" ]]; do words=("${words[@]:1}"); done
  COMPREPLY=()
  _@FUNC@_facts ''
  for one in "${words[@]:1}"; do
    if [[ -n $behind ]]; then
      n+=1
    elif [[ -n $takes ]]; then
      [[ $takes == --home ]] && home=$one
      takes=
    elif [[ $one == -- ]]; then
      behind=1 n=0
    elif [[ $one == --*=* ]]; then
      [[ $one == --home=* ]] && home=${one#*=}
    elif [[ $one == -* ]]; then
      _@FUNC@_kind "$one"
      [[ -n $kind ]] && takes=$one
    elif (( n == 0 )) && _@FUNC@_facts "$command${command:+ }$one"; then
      command="$command${command:+ }$one"
    else
      n+=1
    fi
  done
  full=$cur
  if [[ -n $behind ]]; then
    kind=f
    (( n == 0 )) && kind=c
  elif [[ -n $takes ]]; then
    _@FUNC@_kind "$takes"
  elif [[ $cur == --*=* ]]; then
    head=${cur%%=*}
    _@FUNC@_kind "$head"
    head+== cur=${cur#*=}
  elif [[ $cur == -* ]]; then
    kind="=:"
    for one in "${_opts[@]}"; do kind+=${one%%=*},; done
  elif (( n < ${#_words[@]} )); then
    kind=${_words[n]}
  elif [[ -n $_more ]]; then
    kind=${_words[${#_words[@]}-1]}
  fi
  case $kind in
    [,I]:*)
      [[ $cur == *,* ]] && { head+=${cur%,*}, cur=${cur##*,}; }
      compopt -o nospace 2> /dev/null
      ;;
  esac
  # What of the word readline leaves as it is: up to the last of its breaks.
  for one in = : @; do
    if [[ $COMP_WORDBREAKS == *"$one"* && $full == *"$one"* ]]; then
      part=${full%"$one"*}$one
      (( ${#part} > ${#strip} )) && strip=$part
    fi
  done
  case $kind in
    c) while IFS= read -r one; do COMPREPLY+=("$one"); done < <(compgen -c -- "$cur") ;;
    f) compopt -o default 2> /dev/null ||
      while IFS= read -r one; do COMPREPLY+=("$one"); done < <(compgen -f -- "$cur") ;;
    d) compopt -o dirnames 2> /dev/null ||
      while IFS= read -r one; do COMPREPLY+=("$one"); done < <(compgen -d -- "$cur") ;;
    [iI]:*)
      while IFS= read -r one; do
        one=$head$one
        COMPREPLY+=("${one#"$strip"}")
      done < <(@NAME@ ${home:+--home "$home"} _ids "$cur" "${kind#*:}" 2> /dev/null < /dev/null)
      ;;
    [=,]:*)
      IFS=, read -r -a words <<< "${kind#*:}"
      for one in "${words[@]}"; do
        [[ $one == "$cur"* ]] || continue
        one=$head$one
        COMPREPLY+=("${one#"$strip"}")
      done
      ;;
  esac
}

complete -F _@FUNC@_complete @NAME@
"""

ZSH = r"""# Completion of @NAME@ for zsh: made by `queuectl.py completion zsh`, to be read by ~/.zshrc behind compinit.
@NAME@() { @CALL@ "$@" }

# The table: triples of an option, what its value can be, what it is for; and what its words can be.
_@FUNC@_facts() {
  case $1 in
@FACTS@
    (*) return 1 ;;
  esac
}

_@FUNC@_complete() {
  local one flag kind text takes= home= behind= command= said
  local -i n=0 place=1
  local -a opts own inner found
  local more=
  _@FUNC@_facts ''
  for one in "${(@)words[2,CURRENT-1]}"; do
    place+=1
    one=${(Q)one}
    if [[ -n $takes ]]; then
      [[ $takes == --home ]] && home=$one
      takes=
    elif [[ $one == -- ]]; then
      behind=$place
      break
    elif [[ $one == --*=* ]]; then
      [[ $one == --home=* ]] && home=${one#*=}
    elif [[ $one == -* ]]; then
      for flag kind text in "${opts[@]}"; do [[ $flag == $one && -n $kind ]] && takes=$one; done
    elif (( n == 0 )) && _@FUNC@_facts "$command${command:+ }$one"; then
      command="$command${command:+ }$one"
    else
      n+=1
    fi
  done
  if [[ -n $behind ]]; then
    words=("${(@)words[behind+1,-1]}")
    (( CURRENT -= behind ))
    _normal
    return
  fi
  said=
  if [[ -n $takes ]]; then
    for flag kind text in "${opts[@]}"; do [[ $flag == $takes ]] && said=$kind; done
  elif [[ $PREFIX == --*=* ]]; then
    one=${PREFIX%%=*}
    for flag kind text in "${opts[@]}"; do [[ $flag == $one ]] && said=$kind; done
    compset -P '*='
  elif [[ $PREFIX == -* ]]; then
    for flag kind text in "${opts[@]}"; do found+=("${flag//:/\\:}:$text"); done
    _describe -o option found
    return
  elif (( n == 0 && ${#inner} )); then
    _describe -t commands command inner
    return
  elif (( n < ${#own} )); then
    said=${own[n+1]}
  elif [[ -n $more ]]; then
    said=${own[-1]}
  fi
  case $said in
    (f) _files ;;
    (d) _files -/ ;;
    ([iI]:*)
      [[ $said == I:* ]] && compset -P '*,'
      found=("${(@f)$(@NAME@ ${home:+--home} ${home:+"$home"} _ids "$PREFIX" "${said#*:}" 2> /dev/null < /dev/null)}")
      found=("${(@)found:#}")
      (( ${#found} )) && compadd -V jobs -a found
      ;;
    (','*)
      compset -P '*,'
      found=("${(@s:,:)${said#*:}}")
      compadd -a found
      ;;
    ('=:'*)
      found=("${(@s:,:)${said#*:}}")
      compadd -a found
      ;;
  esac
}

(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i; }
compdef _@FUNC@_complete @NAME@
"""


def bash(name: str, call: str) -> str:
    """The script for bash, whose function *name* calls the words *call*."""
    lines = []
    for row in completion_table.rows():
        options = " ".join(system.quoted(flag + "=" * bool(code) + code) for flag, code, _ in row.options)
        words = " ".join(map(system.quoted, row.codes()))
        lines.append("    '%s') _opts=(%s) _words=(%s) _more=%s ;;" % (row.words, options, words, "1" * row.more))
    return filled(BASH, name, call, lines)


def zsh(name: str, call: str) -> str:
    """The script for zsh, the same."""
    lines = []
    for row in completion_table.rows():
        options = [word for option in row.options for word in option]
        inner = ["%s:%s" % pair for pair in row.inner]
        parts = [" ".join("'%s'" % word.replace("'", "'\\''") for word in some) for some in (options, row.own, inner)]
        lines.append("    ('%s') opts=(%s) own=(%s) inner=(%s) more=%s ;;" % (row.words, *parts, "1" * row.more))
    return filled(ZSH, name, call, lines)


def filled(text: str, name: str, call: str, lines: List[str]) -> str:
    places = {"NAME": name, "FUNC": name.replace("-", "_"), "CALL": call, "FACTS": "\n".join(lines)}
    return completion_table.filled(text, places)
