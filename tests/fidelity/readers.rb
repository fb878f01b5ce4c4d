# Reads files with a reader of Ruby: `ruby readers.rb READER FILE...`.
#
# Writes a line of JSON for each file: {"value": ...} or {"error": "..."}. Objects are
# lists of pairs, so that no key is lost on the way.

require "json"
require "psych"
require "csv"

READERS = {
  "psych" => ->(text) { Psych.safe_load(text) },
  "json" => ->(text) { JSON.parse(text, max_nesting: false) },
  "csv" => ->(text) { CSV.parse(text, row_sep: "\r\n") },
}.freeze

def marked(value)
  case value
  when Hash then { "o" => value.map { |key, member| [key, marked(member)] } }
  when Array then value.map { |member| marked(member) }
  when Float then value.zero? && 1 / value < 0 ? { "$" => "-0.0" } : value
  else value
  end
end

reader = READERS.fetch(ARGV.shift)
ARGV.each do |file|
  text = File.read(file, encoding: "UTF-8")
  puts JSON.generate({ "value" => marked(reader.call(text)) }, max_nesting: false)
rescue StandardError => e
  puts JSON.generate({ "error" => "#{e.class}: #{e.message}"[0, 200].scrub })
end
